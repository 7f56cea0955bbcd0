"""The SPF trim on the real master, slaves and resolvers: what it plans, publishes, proves, refuses and undoes."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from estate_probes import until
from zones import BIN, DNS, MASTER, ZONE, Watcher, ask, hestia, listing, serial

from deliverability.dns import spf
from deliverability.plan import SetRecord
from estates import PATIENCE, Desk, estate
from rehearsal import faults

pytestmark = pytest.mark.rehearsal

TRIMMED = "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 -all"
SENT_FROM_95 = (
    "2026-06-19T10:00:00.000000+00:00 perfwest postfix/out06/smtp[1234]: 4ABCDEF123: to=<a@contoso.com>, "
    "relay=contoso-com.mail.protection.outlook.com[40.93.0.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, "
    "status=sent (250 2.6.0 Queued)"
)
"""By its transport, which is in no stream."""

QUICK = "[dns]\nrebuild_seconds = 2\n"
"""How long everybody may take to show a change is four times that."""


@pytest.fixture(scope="module", autouse=True)
def trimmed_again() -> Iterator[None]:
    """The estate is shared: with an SPF that is not trimmed, every cleanup after these tests would be refused."""
    yield
    estate().reset(*DNS)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The estate as it was before 2026-06-19: 21 addresses in the root's SPF."""
    desk = Desk(tmp_path)
    desk.procedure = "spf-trim"
    desk.estate.reset(*DNS)
    hestia(desk, "root-spf", "untrimmed")
    assert until(lambda: len(set(shown(desk).values())) == 1, PATIENCE), "the slaves follow"
    return desk


def root_spf(desk: Desk) -> list[str]:
    return [value for name, kind, value in listing(desk) if (name, kind) == ("@", "TXT") and spf.is_spf(value)]


def shown(desk: Desk) -> dict[str, str]:
    servers = (MASTER, "216.218.130.2", "216.218.131.2")
    return {server: desk.in_hub(lambda server=server: ask(server)) for server in servers}


def test_the_plan_is_the_runbooks_record_and_changes_nothing(desk: Desk) -> None:
    before = (listing(desk), serial(desk))
    planned = desk.run("plan", "--json")
    assert planned.returncode == 2, planned.stderr
    (change,) = json.loads(planned.stdout)["plan"]["changes"]
    assert change["after"] == TRIMMED
    assert change["before"].count("ip4:") == 21
    assert (listing(desk), serial(desk)) == before
    readable = desk.run("plan").stdout
    assert "-ip4:207.174.124.90\n" in readable
    assert "- performancewest.net: 207.174.124.15, relay of stream transactional" in readable


def test_it_publishes_proves_and_then_there_is_nothing_to_do(desk: Desk) -> None:
    before, number = listing(desk), serial(desk)
    with Watcher(desk) as watcher:
        done = desk.run("run", "--unattended")
    assert done.returncode == 0, done.stderr
    assert root_spf(desk) == [TRIMMED]
    assert [record for record in listing(desk) if record not in before] == [("@", "TXT", TRIMMED)]
    assert serial(desk) > number
    assert watcher.wrong == []
    assert set(shown(desk).values()) == {TRIMMED}
    record, markdown = desk.report()
    verdicts = {finding["check"]: finding["verdict"] for finding in record["findings"]}
    assert {verdict for check, verdict in verdicts.items() if "TXT at" not in check} == {"ok"}
    assert sum(check.startswith(f"{ZONE} TXT at") for check in verdicts) == 1 + 5 + 3
    assert "SPF of performancewest.net for 207.174.124.94 (stream trucking)" in markdown
    assert "SPF of performancewest.net for 207.174.124.90" in markdown
    assert "v-change-dns-record justin performancewest.net ID @ TXT" in markdown
    again = desk.run("run", "--unattended")
    assert again.returncode == 0, again.stderr
    assert "nothing to do: the records cover exactly who sends" in again.stdout

    number = serial(desk)
    undone = desk.run("undo", record["run"], "--unattended")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert (listing(desk), serial(desk) > number) == (before, True)
    hestia(desk, "root-spf", "trimmed")
    edited = listing(desk)
    again = desk.run("undo", record["run"], "--unattended")
    assert again.returncode == 0, "what is as the run left it can be taken back again"
    assert listing(desk) != edited


@pytest.mark.parametrize("written", [False, True])
def test_killed_around_the_write_the_next_run_finishes(desk: Desk, written: bool) -> None:
    """HestiaCP takes its time to build the zone; what it has begun it ends, also without us. On a master whose name
    server does not restart, and which says therefore that nothing was written.
    """
    hestia(desk, "hestia-switch", "rebuild_seconds=1", "restart=fails")
    number = serial(desk)
    with Watcher(desk) as watcher, desk.start("run", "--unattended") as run:
        if written:
            assert until(lambda: serial(desk) != number, PATIENCE)
        else:
            assert run.stderr is not None
            while "hold" not in run.stderr.readline():
                assert run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.communicate()
    # It is refused for as long as the slaves do not show what the master holds.
    assert until(lambda: desk.run("run", "--unattended").returncode == 0, PATIENCE)
    assert root_spf(desk) == [TRIMMED]
    assert watcher.wrong == []


def test_what_does_not_reach_a_slave_is_undone_forward(desk: Desk) -> None:
    desk.write_estate(QUICK)
    (old,) = root_spf(desk)
    number = serial(desk)
    with desk.start("run", "--unattended") as run:
        assert run.stderr is not None
        while "hold" not in run.stderr.readline():
            assert run.poll() is None
        with faults.find("cut").on(desk.estate, "ns1"):
            out, err = run.communicate(timeout=2 * PATIENCE)
    assert run.returncode == 4, (out, err)
    assert root_spf(desk) == [old]
    assert serial(desk) >= number + 2, "a new serial, no old file"
    record, _ = desk.report()
    assert record["status"] == "verification failed, undone"
    assert "the old records are published again" in record["summary"]


def test_two_records_are_merged_only_when_that_is_asked_for(desk: Desk) -> None:
    hestia(desk, f"{BIN}/v-add-dns-record", "justin", ZONE, "@", "TXT", "v=spf1 ip4:207.174.124.94 -all")
    assert until(lambda: all(" | " in text for text in shown(desk).values()), PATIENCE)
    before = listing(desk)
    refused = desk.run("run", "--unattended")
    assert refused.returncode == 3
    assert "performancewest.net has 2 SPF records, for which every receiver answers permerror" in refused.stdout
    assert listing(desk) == before
    merged = desk.run("run", "--unattended", "--set", "merge=true")
    assert merged.returncode == 0, merged.stderr
    assert root_spf(desk) == [TRIMMED]


def test_what_is_not_safe_is_refused_and_nothing_is_changed(desk: Desk) -> None:
    before = (listing(desk), serial(desk))
    desk.write_estate('[streams.trucking]\nip = "207.174.124.72"\n')
    refused = desk.run("run", "--unattended")
    assert refused.returncode == 3
    assert "207.174.124.72 sends mail, and " in refused.stdout
    desk.write_estate('[dns]\nzone_owner = "somebody"\n')
    refused = desk.run("plan")
    assert refused.returncode == 3
    assert "user somebody has no zone performancewest.net there" in refused.stderr
    desk.write_estate("")
    desk.shell(f"echo '{SENT_FROM_95}' >> /var/log/mail.log")
    refused = desk.run("plan")
    assert refused.returncode == 3
    assert "207.174.124.95 is in no stream of the estate file, and sent 1 message(s) by the mail log" in refused.stderr
    assert (listing(desk), serial(desk)) == before


def test_a_change_since_the_approval_is_not_overwritten(desk: Desk) -> None:
    person = desk.at_terminal("run")
    digest = person.digest()
    (text,) = root_spf(desk)
    identifiers = json.loads(hestia(desk, f"{BIN}/v-list-dns-records", "justin", ZONE, "json"))
    (number,) = [key for key, record in identifiers.items() if text in record["VALUE"]]
    edited = text.replace(" ip4:207.174.124.90", "")
    hestia(desk, f"{BIN}/v-change-dns-record", "justin", ZONE, number, "@", "TXT", edited)
    assert until(lambda: set(shown(desk).values()) == {edited}, PATIENCE)
    person.type(f"approve\n{digest}\nAnn\nCHG-7\n")
    code, _ = person.end()
    assert code == 3
    assert root_spf(desk) == [edited]
    record, _ = desk.report()
    assert "the estate changed since the approval" in record["summary"]


def test_an_inverse_is_a_change_of_its_own() -> None:
    change = SetRecord(host="cp", zone=ZONE, owner="justin", name="@", type="TXT", before="a", after="b", ttl=600)
    assert change.inverse().inverse().model_dump(exclude={"why"}) == change.model_dump(exclude={"why"})
