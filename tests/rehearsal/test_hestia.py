"""The DNS master of the rehearsal behaves as HestiaCP does, with its faults; a real BIND publishes what it writes."""

import csv
import json
import re
import time

import estate_probes as probes
import pytest
from hestia_hosts import BIN, Hestia, Rehearsed, real
from hestia_row import ADD, DOMAIN, USER, Row
from hestia_table import ROWS

from rehearsal import Estate

pytestmark = pytest.mark.rehearsal

MASTER, SLAVES = "207.174.124.22", ("216.218.130.2", "216.218.131.2")  # one address of each host
RESOLVERS = ("8.8.8.8", "1.1.1.1", "9.9.9.9")
ZONE = "performancewest.net"
TRIMMED = "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 -all"
NOTIFIED = 15.0
"""Seconds within which slaves have a change: BIND tells them at most every five."""
JOINED = '" "'


@pytest.fixture(scope="module")
def hestia(request: pytest.FixtureRequest) -> Hestia:
    return real() or Rehearsed(request.getfixturevalue("estate").host("cp"))


@pytest.fixture
def rehearsed(estate: Estate) -> Rehearsed:
    fresh = Rehearsed(estate.host("cp"))
    fresh.fresh()
    return fresh


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"HestiaCP behaviour: {row.title} [{row.since}]")
def test_row(hestia: Hestia, row: Row) -> None:
    if row.here and not isinstance(hestia, Rehearsed):
        pytest.skip("needs more than a scratch domain")
    hestia.prepare(row)
    for step in row.steps:
        done = hestia.call(step)
        assert done.returncode == step.code, done
        assert step.says in done.stdout, done
        assert bool(step.says) == bool(done.stdout), done
        assert step.noise in done.stderr, done
        assert bool(step.noise) == bool(done.stderr), done
    listed = hestia.records() if row.listed else {}
    for number, fields in row.listed.items():
        assert (number in listed) == (fields is not None)
        assert {key: listed[number][key] for key in fields or {}} == (fields or {})
    records = hestia.read(f"data/users/{hestia.user}/dns/{hestia.domain}.conf") if row.stored else ""
    assert [part for part in row.stored if part not in records] == []
    for (name, kind), answers in row.published.items():
        assert hestia.publishes(name, kind, set(answers)) == set(answers)
    for file, pattern in row.files.items():
        assert re.search(pattern, hestia.read(file), re.DOTALL), hestia.read(file)


# what the table cannot say: other users and domains, the forms of a listing


@pytest.mark.parametrize(
    ("user", "domain", "says"),
    [
        ("nobody9", DOMAIN, "Error: user nobody9 doesn't exist"),
        (USER, "elsewhere.example", "Error: dns domain elsewhere.example doesn't exist"),
        (USER, ZONE, f"Error: dns domain {ZONE} doesn't exist"),  # it is another user's
    ],
)
def test_what_is_not_there(rehearsed: Rehearsed, user: str, domain: str, says: str) -> None:
    for command in (["v-list-dns-records", user, domain], [ADD, user, domain, "a", "TXT", "x"]):
        done = rehearsed.shell([f"{BIN}/{command[0]}", *command[1:]])
        assert (done.returncode, done.stdout, done.stderr) == (3, f"{says}\n", "")


def test_an_unknown_format_is_an_empty_success(rehearsed: Rehearsed) -> None:
    for command in (["v-list-dns-records", USER, DOMAIN], ["v-list-dns-domain", USER, DOMAIN]):
        done = rehearsed.shell([f"{BIN}/{command[0]}", *command[1:], "xml"])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_plain_has_nine_columns(rehearsed: Rehearsed) -> None:
    rehearsed.shell([f"{BIN}/{ADD}", USER, DOMAIN, "a", "TXT", "v=spf1 -all"])
    rows = [line.split("\t") for line in rehearsed.list("plain").splitlines()]
    assert rows[0][:6] == ["1", "@", "NS", "", "ns1.he.net.", "no"]
    assert rows[3][:6] == ["4", "a", "TXT", "", '"v=spf1 -all"', "no"]
    assert {len(row) for row in rows} == {9}
    assert re.fullmatch(r"\d\d:\d\d:\d\d \d{4}-\d\d-\d\d 14400", " ".join(rows[3][6:]))


def test_csv_is_not_what_others_read_as_csv(rehearsed: Rehearsed) -> None:
    rehearsed.shell([f"{BIN}/{ADD}", USER, DOMAIN, "a", "TXT", "v=spf1 ip4:192.0.2.1 -all"])
    lines = rehearsed.list("csv").splitlines()
    assert lines[0] == "ID,RECORD,TYPE,PRIORITY,VALUE,SUSPENDED,TIME,DATE,TTL"
    assert '4,a,TXT,,""v=spf1 ip4:192.0.2.1 -all"",no,' in lines[4]
    assert next(csv.reader([lines[4]]))[4] != '"v=spf1 ip4:192.0.2.1 -all"'


def test_shell_is_the_default_and_cuts_values(rehearsed: Rehearsed) -> None:
    rehearsed.shell([f"{BIN}/{ADD}", USER, DOMAIN, "a", "TXT", "x" * 31])
    lines = rehearsed.list().splitlines()
    assert lines[0].split() == ["ID", "RECORD", "TYPE", "VALUE", "DATE", "TTL"]
    assert set(lines[1]) == {"-", " "}
    assert f" {'x' * 30} " in lines[5]
    assert lines == rehearsed.list("shell").splitlines()


def test_the_facts_of_a_domain(rehearsed: Rehearsed) -> None:
    listing = rehearsed.shell([f"{BIN}/v-list-dns-domain", USER, DOMAIN, "json"]).stdout
    assert " ".join(json.loads(listing)[DOMAIN]) == "IP TPL TTL EXP SOA SERIAL DNSSEC SRC RECORDS SUSPENDED TIME DATE"
    plain = rehearsed.shell([f"{BIN}/v-list-dns-domain", USER, DOMAIN, "plain"]).stdout
    assert plain.startswith(f"{DOMAIN}\t192.0.2.1\tdefault\t14400\t2027-06-19\tns1.he.net\t3000000007\tno\t3\tno\t")
    everything = rehearsed.shell([f"{BIN}/v-list-dns-domains", "justin", "json"]).stdout
    assert list(json.loads(everything)) == ["carrierone.com", ZONE]


def test_parallel_additions_collide(rehearsed: Rehearsed) -> None:
    """HestiaCP behaviour: no lock, so IDs are refused or given twice."""
    rehearsed.switch("gap_seconds=0.3")
    script = f'for n in 1 2 3 4 5 6; do {BIN}/{ADD} {USER} {DOMAIN} p$n TXT x "" "" no & done; wait'
    said = rehearsed.shell(["sh", "-c", script]).stdout
    refused = re.findall(r"Error: ID=\d+ already exists", said)
    records = rehearsed.read(f"data/users/{USER}/dns/{DOMAIN}.conf")
    numbers = re.findall(r"ID='(\d+)' RECORD='p", records)
    assert len(refused) + len(numbers) - len(set(numbers)) > 0, said + records
    # and JSON, as others read it, shows one of those that share an ID
    assert sorted(rehearsed.records()) == sorted({"1", "2", "3", *numbers})
    assert len(rehearsed.list("plain").splitlines()) == 3 + len(numbers)


def test_a_slow_rebuild_is_in_the_files_long_before_it_is_published(rehearsed: Rehearsed) -> None:
    rehearsed.shell([f"{BIN}/v-rebuild-dns-domain", USER, DOMAIN])
    assert rehearsed.publishes("@", "A", {"192.0.2.1"})
    rehearsed.switch("rebuild_seconds=3")
    began = time.monotonic()
    line = f"{BIN}/{ADD} {USER} {DOMAIN} a TXT x >/dev/null 2>&1 &"
    rehearsed.shell(["sh", "-c", line])
    assert probes.until(lambda: "RECORD='a'" in rehearsed.read(f"data/users/{USER}/dns/{DOMAIN}.conf"))
    assert rehearsed.answers("a", "TXT") == set()
    assert rehearsed.publishes("a", "TXT", {'"x"'}) == {'"x"'}
    assert time.monotonic() - began >= 3


# the world around it


def dig(estate: Estate, server: str, *question: str) -> str:
    return estate.host("mta").run(["dig", "+time=2", "+tries=1", f"@{server}", *question]).stdout


def short(estate: Estate, server: str, *question: str) -> list[str]:
    return sorted(dig(estate, server, "+short", *question).splitlines())


def serials(estate: Estate) -> list[str]:
    return [short(estate, server, ZONE, "SOA")[0].split()[2] for server in (MASTER, *SLAVES)]


def everywhere(estate: Estate, wanted: list[str], *question: str) -> bool:
    """Whether the master and both slaves come to give these answers."""
    servers = (MASTER, *SLAVES)
    return bool(probes.until(lambda: all(short(estate, server, *question) == wanted for server in servers), NOTIFIED))


def spf(estate: Estate, server: str) -> list[str]:
    return [text for text in short(estate, server, ZONE, "TXT") if text.startswith('"v=spf1')]


def on_cp(estate: Estate, *argv: str) -> None:
    done = estate.host("cp").run(argv)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_operators_key_opens_the_pinned_host_on_22022(estate: Estate) -> None:
    keys = estate.state / "keys" / "operator"
    argv = ["ssh", "-i", str(keys), "-p", "22022", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    argv += ["-o", f"UserKnownHostsFile={estate.state / 'known_hosts'}", f"root@{MASTER}"]
    done = estate.hub_run([*argv, f"{BIN}/v-list-dns-records justin {ZONE} json"])
    assert done.returncode == 0, done.stderr
    values = [record["VALUE"] for record in json.loads(done.stdout).values()]
    assert f'"{TRIMMED}"' in values
    assert estate.hub_run([*argv, "v-list-dns-records"]).returncode == 127  # the PATH is that of login shells


def test_a_change_is_at_the_master_at_once_and_at_both_slaves_within_seconds(estate: Estate) -> None:
    before = serials(estate)
    on_cp(estate, f"{BIN}/{ADD}", "justin", ZONE, "told", "TXT", "by notify")
    wanted = ['"by notify"']
    assert probes.until(lambda: short(estate, MASTER, f"told.{ZONE}", "TXT") == wanted, 2)
    assert everywhere(estate, wanted, f"told.{ZONE}", "TXT")
    assert probes.until(lambda: len(set(serials(estate))) == 1, NOTIFIED), serials(estate)
    assert int(serials(estate)[0]) > int(before[0])


def test_the_spf_before_the_trim_can_be_published_and_taken_back(estate: Estate) -> None:
    trimmed = short(estate, MASTER, ZONE, "TXT")
    on_cp(estate, "root-spf", "untrimmed")
    on_cp(estate, "root-spf", "untrimmed")
    assert probes.until(lambda: spf(estate, MASTER) != [f'"{TRIMMED}"'])
    (text,) = spf(estate, MASTER)
    assert text.replace(JOINED, "").count("ip4:207.174.124.") == 21
    assert everywhere(estate, short(estate, MASTER, ZONE, "TXT"), ZONE, "TXT")
    on_cp(estate, "root-spf", "trimmed")
    assert everywhere(estate, trimmed, ZONE, "TXT")


def test_a_lost_blank_makes_two_mechanisms_one(estate: Estate) -> None:
    """HestiaCP behaviour: character 256 of an SPF is a blank."""
    text = "v=spf1 a mx" + " ip4:207.174.124.101" * 12 + " ptr ip4:207.174.124.94 -all"
    assert text[255] == " "
    on_cp(estate, f"{BIN}/{ADD}", "justin", ZONE, "lost", "TXT", text)
    assert probes.until(lambda: short(estate, MASTER, f"lost.{ZONE}", "TXT"))
    (answer,) = short(estate, MASTER, f"lost.{ZONE}", "TXT")
    assert "ptrip4:207.174.124.94" in answer.replace(JOINED, "")


@pytest.mark.parametrize("resolver", RESOLVERS)
def test_dnssec_validates(estate: Estate, resolver: str) -> None:
    for name in (f"send.{ZONE}", f"send._domainkey.send.{ZONE}"):
        said = dig(estate, resolver, "+dnssec", name, "TXT")
        assert re.search(r"flags:[^;]* ad[ ;]", said), said
        assert "RRSIG" in said
    assert re.search(r"status: NXDOMAIN[\s\S]*flags:[^;]* ad[ ;]", dig(estate, resolver, f"none.{ZONE}", "A"))
    assert not re.search(r"flags:[^;]* ad[ ;]", dig(estate, resolver, "contoso.com", "MX"))


def test_the_key_that_is_listed_is_the_one_that_is_published(estate: Estate) -> None:
    done = estate.host("cp").run([f"{BIN}/v-list-dnssec-public-key", "justin", ZONE, "json"])
    facts = json.loads(done.stdout)[ZONE]
    published = short(estate, SLAVES[0], ZONE, "DNSKEY")
    assert [key.split(maxsplit=3)[3] for key in published] == [facts["KEY"]]
    assert (facts["FLAG"], facts["ALGORITHM"]) == ("257", "13")
    assert facts["DS"].startswith(f"{ZONE}. IN DS ")


def test_resolvers_remember_that_a_name_was_not_there(estate: Estate) -> None:
    assert short(estate, "8.8.8.8", f"soon.{ZONE}", "TXT") == []
    on_cp(estate, f"{BIN}/{ADD}", "justin", ZONE, "soon", "TXT", "here")
    assert everywhere(estate, ['"here"'], f"soon.{ZONE}", "TXT")
    # asked within the lifetime of the first answer it would still deny it; asking does not lengthen that
    assert probes.until(lambda: short(estate, "8.8.8.8", f"soon.{ZONE}", "TXT"), NOTIFIED) == ['"here"']


def test_a_power_cut_leaves_a_master_that_publishes_and_slaves_that_follow(estate: Estate) -> None:
    on_cp(estate, f"{BIN}/{ADD}", "justin", ZONE, "cut", "TXT", "one")
    estate.host("cp").restart()
    assert short(estate, MASTER, f"cut.{ZONE}", "TXT") == ['"one"']
    on_cp(estate, f"{BIN}/{ADD}", "justin", ZONE, "cut", "TXT", "two")
    assert everywhere(estate, ['"one"', '"two"'], f"cut.{ZONE}", "TXT")


def test_a_reset_of_the_dns_takes_everything_back(estate: Estate) -> None:
    on_cp(estate, f"{BIN}/{ADD}", "justin", ZONE, "gone", "TXT", "x")
    estate.reset("cp", "ns1", "ns2", "resolver")
    for server in (MASTER, *SLAVES, "8.8.8.8"):
        assert short(estate, server, f"gone.{ZONE}", "TXT") == []
        assert spf(estate, server) == [f'"{TRIMMED}"']
    assert len(set(serials(estate))) == 1
