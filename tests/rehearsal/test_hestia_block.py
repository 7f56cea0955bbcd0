"""Records written through HestiaCP's own commands, and what it refuses: each is a clear error, and nothing is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hestia_hosts import DATA, Rehearsed
from hestia_row import DOMAIN, USER
from zones import DNS

from blocks import hestia_dns
from blocks.ssh_host import SshHost
from blocks.ssh_session import Writer
from deliverability.errors import Conflict, HostError, Refused
from deliverability.plan import SetRecord
from estates import Desk

pytestmark = pytest.mark.rehearsal

SPF = "v=spf1 ip4:192.0.2.1 -all"
NEW = SetRecord(host="cp", zone=DOMAIN, owner=USER, name="a", type="TXT", before=None, after=SPF)


@pytest.fixture
def master(tmp_path: Path) -> Iterator[tuple[Rehearsed, Writer]]:
    """A scratch domain, and our own connection to its master."""
    desk = Desk(tmp_path)
    hestia = Rehearsed(desk.estate.host("cp"))
    hestia.fresh()
    state = desk.estate.state
    key, pinned = f"file:{state}/keys/operator", f"file:{state}/known_hosts"
    host = SshHost(name="cp", address="207.174.124.22", port=22022, key=key, host_key=pinned)
    with desk.connected(host.operate()) as writer:
        yield hestia, writer
    desk.estate.reset(*DNS)


def values(hestia: Rehearsed) -> list[str]:
    return sorted(record["VALUE"].strip('"') for record in hestia.records().values() if record["RECORD"] == "a")


def test_a_record_is_added_changed_and_deleted_each_once(master: tuple[Rehearsed, Writer]) -> None:
    hestia, writer = master
    changed = NEW.model_copy(update={"before": SPF, "after": f"{SPF[:-4]}~all", "ttl": 600})
    gone = changed.model_copy(update={"before": changed.after, "after": None})
    for change, left in ((NEW, [SPF]), (changed, [changed.after]), (gone, [])):
        assert hestia_dns.apply(writer, change) == "published"
        assert hestia_dns.apply(writer, change) == "was published already"
        assert values(hestia) == left
    assert hestia_dns.apply(writer, gone.inverse()) == "published"
    (record,) = [one for one in hestia.records().values() if one["RECORD"] == "a"]
    assert record["TTL"] == "600"


def test_a_twin_goes_with_it(master: tuple[Rehearsed, Writer]) -> None:
    hestia, writer = master
    for _ in range(2):
        hestia.shell(["/usr/local/hestia/bin/v-add-dns-record", USER, DOMAIN, "a", "TXT", SPF])
    assert values(hestia) == [SPF, SPF]
    change = NEW.model_copy(update={"before": SPF, "after": "v=spf1 -all"})
    assert hestia_dns.apply(writer, change) == "published"
    assert values(hestia) == ["v=spf1 -all"]


def test_a_code_of_failure_after_a_write_is_not_believed(master: tuple[Rehearsed, Writer]) -> None:
    hestia, writer = master
    hestia.switch("restart=fails")
    assert hestia_dns.apply(writer, NEW) == "published"
    assert values(hestia) == [SPF]


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("SUSPENDED", "yes", "is suspended"),
        ("DNS_RECORDS", "3", "DNS_RECORDS limit is reached"),
    ],
)
def test_what_hestiacp_refuses_is_said_in_its_words(
    master: tuple[Rehearsed, Writer], key: str, value: str, says: str
) -> None:
    hestia, writer = master
    hestia.shell(["sed", "-i", f"s/\\b{key}='[^']*'/{key}='{value}'/", f"{DATA}/user.conf"])
    with pytest.raises(HostError, match=says) as refused:
        hestia_dns.apply(writer, NEW)
    assert "the listing does not show what was written" in str(refused.value)
    assert values(hestia) == []


@pytest.mark.parametrize("value", ["two\nlines", 'a "quoted" word', "it's", "back\\slash", "x" * 65536, "ü"])
def test_a_value_that_would_be_published_as_another_is_never_sent(master: tuple[Rehearsed, Writer], value: str) -> None:
    hestia, writer = master
    before = hestia.read(f"log/{'system'}.log")
    with pytest.raises(Refused, match="HestiaCP cannot publish this value as it is"):
        hestia_dns.apply(writer, NEW.model_copy(update={"after": value}))
    assert hestia.read("log/system.log") == before


def test_a_record_that_is_another_by_now_is_left_alone(master: tuple[Rehearsed, Writer]) -> None:
    hestia, writer = master
    hestia_dns.apply(writer, NEW)
    with pytest.raises(Conflict, match="is not what the plan was made for: it says v=spf1 ip4"):
        hestia_dns.apply(writer, NEW.model_copy(update={"before": "v=spf1 -all", "after": "v=spf1 ?all"}))
    assert values(hestia) == [SPF]


@pytest.mark.parametrize(
    ("user", "domain"), [("nobody9", DOMAIN), (USER, "elsewhere.example"), (USER, "performancewest.net")]
)
def test_a_zone_that_is_not_this_users_is_refused(master: tuple[Rehearsed, Writer], user: str, domain: str) -> None:
    _, writer = master
    look: Callable[[], object] = lambda: hestia_dns.read(writer, user, domain)  # noqa: E731
    with pytest.raises(Refused, match=f"user {user} has no zone {domain} there"):
        look()
