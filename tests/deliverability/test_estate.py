"""The estate file: complete for the runbook it describes, strict with everything else."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deliverability.errors import EstateError
from deliverability.estate import Estate, load
from deliverability.estate_tables import Stream

ESTATES = Path(__file__).parents[2] / "estates"
PERFORMANCEWEST = ESTATES / "performancewest.toml"
RUNBOOK = {
    "addresses": [f"207.174.124.{last}" for last in (15, 22, 71, 72, 94, 107)],
    "resolvers": ["8.8.8.8", "1.1.1.1", "9.9.9.9"],
    "hosts": ["perfwest.performancewest.net", "cp.carrierone.com", "co.carrierone.com"],
    "HELO names": ["mta05.performancewest.net", "hcmta01.performancewest.net"],
    "slaves": [f"ns{number}.he.net" for number in range(1, 6)],
    "domains": ["performancewest.net", "send.performancewest.net"],
    "ports": [22, 22022, 25, 2526],
    "relay": ["co.carrierone.com:587"],
    "transports": ["out05", "hcout1"],
    "accounts": ["root", "justin", "zextras", "/opt/zextras/bin/carbonio"],
    "databases": ["listmonk", "listmonk_hc"],
    "senders": [
        "Performance West <noreply@send.performancewest.net>",
        "Performance West Compliance <compliance@send.performancewest.net>",
        "info@performancewest.net",
    ],
    "lists": [f"{name}@performancewest.net" for name in ("postmaster", "abuse", "fbl", "dmarc", "ops")],
    "authentication": [
        "v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 -all",
        "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 -all",
        "v=DMARC1; p=reject; rua=mailto:dmarc@performancewest.net; ruf=mailto:dmarc@performancewest.net; fo=1",
    ],
    "verification tokens": [
        "google-site-verification=p8s3RaN5wi81350wToMpdPMho5Gcel4RGT1Q1SXj7vg",
        "yahoo-verification-key=IMx+OO5aKUE1nu9JwP6eSBMfSYZu8VcXjpkvEVXS84w=",
        "yahoo-verification-key=Ps5hGjVxXgeQcLcxr671YG0/RxzjjL0eqh6vfULubEo=",
    ],
    "programmes": [
        "https://substrate.office.com/ip-domain-management-snds/SNDS/AddNetwork",
        "https://substrate.office.com/ip-domain-management-snds/SNDS/Jmrp",
        "https://senders.yahooinc.com/complaint-feedback-loop/",
        "https://postmaster.google.com",
        "pw1",
        "pw2",
    ],
    "scripts": ["scripts/_email_exclusions.py", "infra/postfix/pw-mta-warmup.sh", "DMARC_IMAP_"],
    "files": ["/etc/postfix/master.cf", "/etc/network/interfaces", "/etc/cron.d/pw-ip-rehab", "/var/log/mail.log"],
}


def leaves(value: Any) -> list[Any]:
    """Every key and every value of a nested structure."""
    if isinstance(value, dict):
        return [leaf for key, below in value.items() for leaf in (key, *leaves(below))]
    if isinstance(value, list):
        return [leaf for below in value for leaf in leaves(below)]
    return [value]


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(f'extends = "{PERFORMANCEWEST}"\n{text}')
    return path


def refusal(path: Path) -> EstateError:
    with pytest.raises(EstateError) as caught:
        load(path)
    return caught.value


@pytest.mark.parametrize("what", RUNBOOK)
def test_the_estate_holds_every_fact_of_the_runbook(what: str) -> None:
    found = leaves(load(PERFORMANCEWEST).model_dump(mode="json"))
    assert [fact for fact in RUNBOOK[what] if fact not in found] == []


def test_the_estate_says_what_belongs_to_what() -> None:
    estate = load(PERFORMANCEWEST)
    assert estate.mta.pool_addresses() == {f"207.174.124.{last}" for last in range(90, 110)}
    assert estate.kept_addresses() == {f"207.174.124.{last}" for last in (71, 72, 94, 107)}
    assert estate.kept_transports() == {"out05", "hcout1", "smtp", "relay"}
    reached = {name: (str(host.address), host.port, host.user) for name, host in estate.hosts.items()}
    assert reached == {
        "mta": ("207.174.124.71", 22, "root"),
        "cp": ("207.174.124.22", 22022, "root"),
        "co": ("207.174.124.15", 22022, "justin"),
    }
    sent = {name: (str(of.ip), of.helo.split(".")[0], of.transport) for name, of in estate.streams.items()}
    assert sent == {
        "trucking": ("207.174.124.94", "mta05", "out05"),
        "healthcare": ("207.174.124.107", "hcmta01", "hcout1"),
        "transactional": ("207.174.124.71", "perfwest", None),
    }
    assert {name: of.submission.port for name, of in estate.streams.items() if of.submission} == {
        "trucking": 25,
        "healthcare": 2526,
    }
    assert not estate.rehearsal
    assert not estate.gates.unattended


def test_the_estate_holds_the_times_and_thresholds_of_the_runbook() -> None:
    estate = load(PERFORMANCEWEST)
    assert (estate.dmarc.min_pass_percent, estate.dmarc.spoof_messages, estate.dmarc.summary_days) == (95.0, 20, 7)
    assert (estate.dmarc.cron, estate.scrub.cron) == ("20 6 * * *", "30 6 * * *")
    assert (estate.volume.messages_per_window, estate.volume.window_seconds) == (200, 3600)
    assert (estate.thresholds.hard_bounces_to_blocklist, estate.thresholds.bounces_5_1_1_per_day) == (1, 110)
    assert (estate.dns.rebuild_seconds, estate.dns.slave_refresh_seconds) == (30, 7200)
    assert [(key.selector, key.bits) for key in estate.domains["send.performancewest.net"].dkim] == [("send", 2048)]


def without_lists(value: Any) -> Any:
    """Streams without the files that the runbook does not name."""
    if not isinstance(value, Mapping) or not all(isinstance(one, Stream) for one in value.values()):
        return value
    return {name: stream.model_copy(update={"watched_senders": ""}) for name, stream in value.items()}


def test_the_rehearsal_is_the_same_estate_on_other_hosts() -> None:
    real, rehearsal = load(PERFORMANCEWEST), load(ESTATES / "rehearsal.toml")
    assert rehearsal.rehearsal
    assert rehearsal.gates.unattended
    assert rehearsal.hosts["mta"].address == real.hosts["mta"].address
    for same in ("mta", "streams", "domains", "dns", "mail_admin", "thresholds"):
        assert without_lists(getattr(rehearsal, same)) == getattr(real, same)


@pytest.mark.parametrize(
    ("text", "where", "near"),
    [
        ("nmae = 'x'", "nmae", "name"),
        ("[hosts.mta]\nprot = 1", "hosts.mta.prot", "port"),
        ("[streams.trucking]\ntransprot = 'x'", "streams.trucking.transprot", "transport"),
        ("[streams.trucking.submission]\nprt = 1", "streams.trucking.submission.prt", "port"),
        ("[domains.'performancewest.net']\nspff = 'x'", "domains.performancewest.net.spff", "spf"),
        ("[gates]\ntimeout_hour = 1", "gates.timeout_hour", "timeout_hours"),
        ("[[feedback_loops]]\nkeyd_by = 'ip'", "feedback_loops.0.keyd_by", "keyed_by"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, text: str, where: str, near: str) -> None:
    assert f"{where}: unknown key; did you mean {near!r}?" in str(refusal(written(tmp_path, text)))


def test_a_key_like_no_other_is_unknown_without_a_guess(tmp_path: Path) -> None:
    error = refusal(written(tmp_path, "zzzzqqqq = 1"))
    assert "zzzzqqqq: unknown key\n" in str(error)
    assert "did you mean" not in str(error)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("[gates]\nunattended = true", "gates.unattended is true, but this estate is no rehearsal"),
        (
            '[streams.healthcare]\nlistmonk = "listmonk"',
            "listmonk.listmonk has one From, and its streams have 2 senders",
        ),
        ("[streams.trucking]\nip = '207.174.124.120'", "streams.trucking.ip 207.174.124.120 is in neither mta.pool"),
        ("[mta]\nhost = 'mat'", "mta.host is 'mat', which is no entry of [hosts]: mta, cp, co"),
        ("[dns]\nmaster = 'ns'", "dns.master is 'ns', which is no entry of [hosts]: mta, cp, co"),
        ("[mta]\npool = ['207.174.124.109-207.174.124.90']", "is no range of at most 1024 addresses"),
        ("[mta]\npool = ['10.0.0.0-10.255.255.255']", "is no range of at most 1024 addresses"),
        ("[hosts.mta]\nport = 70000", "hosts.mta.port: Input should be less than or equal to 65535 (is 70000)"),
        ("[hosts.mta]\naddress = 'mta05'", "hosts.mta.address: "),
        ("[hosts.new]\nname = 'x'", "hosts.new.address: missing"),
    ],
)
def test_what_the_model_does_not_allow_is_said_with_its_place(tmp_path: Path, text: str, fact: str) -> None:
    error = refusal(written(tmp_path, text))
    assert fact in str(error)
    assert "mine.toml" in error.fact
    assert error.exit_code == 1
    assert "runbook schema" in error.next_step


def test_extends_overlays_tables_and_replaces_everything_else(tmp_path: Path) -> None:
    mine = load(written(tmp_path, "name = 'mine'\nprobes = []\n[hosts.mta]\nport = 2222\n[dns]\nslaves = ['ns.test']"))
    assert mine.name == "mine"
    assert (mine.hosts["mta"].port, str(mine.hosts["mta"].address)) == (2222, "207.174.124.71")
    assert mine.dns.slaves == ("ns.test",)
    assert mine.dns.zone == "performancewest.net"
    assert mine.probes == ()


def test_extends_may_be_a_chain_but_no_circle(tmp_path: Path) -> None:
    written(tmp_path, "name = 'base'\n[hosts.mta]\nport = 2222", "base.toml")
    (tmp_path / "top.toml").write_text("extends = 'base.toml'\nname = 'top'\n")
    assert (load(tmp_path / "top.toml").name, load(tmp_path / "top.toml").hosts["mta"].port) == ("top", 2222)
    (tmp_path / "sub").mkdir()
    (tmp_path / "one.toml").write_text("extends = 'sub/../two.toml'\n")
    (tmp_path / "two.toml").write_text("extends = 'sub/../one.toml'\n")
    assert "extends itself" in str(refusal(tmp_path / "one.toml"))


def test_a_missing_file_names_the_known_ones() -> None:
    error = refusal(ESTATES / "perfromancewest.toml")
    assert "no estate file" in error.fact
    assert error.next_step == "name one of: performancewest, rehearsal"


@pytest.mark.parametrize("text", [b"name = 'x\n", b"name = 'x'\nname = 'y'\n", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(text)
    assert "bad.toml is not TOML: " in str(refusal(path))


def test_the_schema_is_valid_and_allows_the_estate_of_the_runbook() -> None:
    schema = json.loads(json.dumps(Estate.model_json_schema()))
    checker = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    checker.check_schema(schema)
    data = tomllib.loads(PERFORMANCEWEST.read_text())
    assert not list(checker(schema).iter_errors(data))
    assert list(checker(schema).iter_errors({**data, "nmae": "x"}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[streams.trucking]\nlistmonk = "nowhere"', "streams.trucking.listmonk is 'nowhere', which is no entry of"),
        ('[listmonk.listmonk]\ndatabase = "x options=-c"', "listmonk.listmonk.database"),
        ('[listmonk.listmonk]\nservice = "--now"', "listmonk.listmonk.service"),
        ('[listmonk.listmonk]\naddress = "127.0.0.1"', "listmonk.listmonk.address"),
        ('[listmonk.listmonk]\napi_user = "runbook"', "api_user and api_token go together"),
        ('[listmonk.listmonk]\napi_user = "a"\napi_token = "s3cret"', "listmonk.listmonk.api_token"),
    ],
)
def test_a_listmonk_that_cannot_be_reached_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in str(refusal(written(tmp_path, text)))
