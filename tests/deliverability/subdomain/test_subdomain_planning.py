"""What a subdomain set-up plans from one look: only what is missing, in a safe order, and never over something else."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from deliverability import estate as estates
from deliverability.dkim import record as dkim
from deliverability.dkim.signing import Signing, Table
from deliverability.dns.zone import Record, Zone
from deliverability.errors import Refused
from deliverability.listmonk import Instance, Server
from deliverability.plan import KNOWN_LATER, EditFile, MakeKey, Plan, ReloadService, SetListmonkFrom, SetRecord
from deliverability.subdomain import planning, records
from deliverability.subdomain.planning import SubdomainLook, Target
from reports import render

HERE = Path(__file__).parent
ESTATE = estates.load(HERE.parents[2] / "estates" / "rehearsal.toml")
SEND = "send.performancewest.net"
TRUCKING, HEALTHCARE = "/etc/bounce-watcher/trucking", "/etc/bounce-watcher/healthcare"
WHAT = planning.target(ESTATE)


def key(last: int) -> str:
    """A record with a key of 2048 bits that nobody has the other half of."""
    number = bytes([0x80, *[last] * 255])
    rsa = b"\x30\x82\x01\x0a\x02\x82\x01\x01\x00" + number + b"\x02\x03\x01\x00\x01"
    body = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x03\x82\x01\x0f\x00" + rsa
    whole = base64.b64encode(b"\x30\x82\x01\x22" + body).decode()
    return f"v=DKIM1; h=sha256; k=rsa; p={whole}"


KEY, OTHER_KEY = key(1), key(2)


def look(*records: Record, **changes: Any) -> SubdomainLook:
    instances = {
        stream.listmonk: Instance(
            name=stream.listmonk,
            service=f"listmonk@{stream.listmonk}.service",
            from_email="Performance West <noreply@performancewest.net>",
            loaded=True,
            servers=(Server(host="127.0.0.1", port=25, reply_to="info@performancewest.net"),),
        )
        for stream in WHAT.streams.values()
        if stream.listmonk
    }
    tables = [Table(path=f"/etc/opendkim/{name}", patterns=True, text="") for name in ("KeyTable", "SigningTable")]
    nothing: dict[str, Any] = {
        "mta": "mta",
        "master": "cp",
        "zone": Zone(
            name="performancewest.net", owner="justin", ttl=14400, serial=7, signed=True, records=_numbered(records)
        ),
        "signing": Signing(host="mta", key_table=tables[0], signing_table=tables[1], loaded=True),
        "key": None,
        "instances": instances,
        "watched": {
            TRUCKING: "# trucking\nnoreply@performancewest.net\n",
            HEALTHCARE: "compliance@performancewest.net",
        },
    }
    return SubdomainLook(**(nothing | changes))


def _numbered(records: Iterable[Record]) -> tuple[Record, ...]:
    return tuple(record.model_copy(update={"id": number}) for number, record in enumerate(records, 1))


def record(name: str, kind: str, value: str, suspended: bool = False) -> Record:
    priority = 10 if kind == "MX" else None
    return Record(id=0, name=name, type=kind, value=value, priority=priority, ttl=14400, suspended=suspended)


def planned(seen: SubdomainLook, what: Target = WHAT) -> Plan:
    return planning.plan(seen, ESTATE, what)


def refusal(seen: SubdomainLook, what: Target = WHAT) -> str:
    with pytest.raises(Refused) as refused:
        planned(seen, what)
    return str(refused.value)


def after(seen: SubdomainLook, plan: Plan) -> SubdomainLook:
    """What a look shows once all of a plan is carried out."""
    found = seen.model_dump()
    records = list(seen.zone.records)
    for change in plan.with_key(KEY).changes:
        match change:
            case MakeKey():
                found["key"] = KEY
            case SetRecord():
                assert change.after is not None
                records.append(record(change.name, change.type, change.after))
            case EditFile():
                if change.path in found["watched"]:
                    found["watched"][change.path] = change.after
                for table in ("key_table", "signing_table"):
                    if found["signing"][table]["path"] == change.path:
                        found["signing"][table]["text"] = change.after
            case SetListmonkFrom():
                found["instances"][change.instance] |= {"from_email": change.after, "loaded": True}
            case ReloadService():
                found["signing"]["loaded"] = True
    found["zone"]["records"] = [one.model_dump() for one in _numbered(records)]
    return SubdomainLook.model_validate(found)


def test_of_nothing_everything_is_planned_in_the_safe_order() -> None:
    plan = planned(look())
    assert [render.headline(change).partition("  (")[0] for change in plan.changes] == [
        f"+ mta: key /etc/opendkim/keys/{SEND}/send.private, 2048 bits",
        "+ cp: send TXT in performancewest.net",
        "+ cp: send._domainkey.send TXT in performancewest.net",
        "+ cp: send MX in performancewest.net",
        "+ cp: _dmarc.send TXT in performancewest.net",
        "~ mta:/etc/opendkim/KeyTable",
        "~ mta:/etc/opendkim/SigningTable",
        "~ mta: reload opendkim",
        f"~ mta:{TRUCKING}",
        f"~ mta:{HEALTHCARE}",
        *(
            f"~ mta: From of {stream.listmonk}: 'Performance West <noreply@performancewest.net>' -> {stream.sender!r}"
            for stream in WHAT.streams.values()
        ),
    ]
    assert [change.after for change in plan.records()] == [
        ESTATE.domains[SEND].spf,
        KNOWN_LATER,
        "co.carrierone.com.",
        ESTATE.domains[SEND].dmarc,
    ]
    assert [change.after for change in plan.with_key(KEY).records()][1] == KEY
    assert planned(after(look(), plan)).empty


@pytest.mark.parametrize("done", range(1, 13))
def test_whatever_part_is_done_the_rest_is_planned_and_then_nothing(done: int) -> None:
    whole = planned(look())
    assert len(whole.changes) == 12
    half = after(look(), whole.model_copy(update={"changes": whole.changes[:done]}))
    rest = planned(half)
    unfinished = {change.target for change in whole.changes[done:]}
    assert {change.target for change in rest.changes} >= unfinished - {"opendkim"}
    assert planned(after(half, rest)).empty


def test_what_was_there_of_other_kinds_does_not_count_and_stays() -> None:
    others = record("send", "TXT", "yahoo-verification-key=x"), record("send", "A", "192.0.2.1")
    assert len(planned(look(*others)).records()) == 4


def test_a_key_that_is_there_is_published_as_it_is() -> None:
    plan = planned(look(key=KEY))
    assert plan.new_keys() == ()
    assert KEY in [change.after for change in plan.records()]


def test_spelling_that_makes_no_difference_is_no_difference() -> None:
    there = (
        record("send", "TXT", ESTATE.domains[SEND].spf.replace(" ", "  ").upper()),
        record("send._domainkey.send", "TXT", KEY.replace("h=sha256; ", "")),
        record("send", "MX", "CO.carrierone.com."),
        record("_dmarc.send", "TXT", ESTATE.domains[SEND].dmarc.replace("; ", ";") + ";"),
    )
    assert planned(look(*there, key=KEY)).records() == ()


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (record("send", "TXT", "v=spf1 ip4:192.0.2.1 -all"), "send TXT in performancewest.net says v=spf1 ip4:192.0.2"),
        (
            record("send._domainkey.send", "TXT", OTHER_KEY),
            "send._domainkey.send TXT in performancewest.net says v=DKIM1",
        ),
        (
            record("_dmarc.send", "TXT", "v=DMARC1; p=none"),
            "_dmarc.send TXT in performancewest.net says v=DMARC1; p=none",
        ),
        (
            record("send", "MX", "mail.example.com."),
            "send MX in performancewest.net says mail.example.com., which is no",
        ),
        (record("send", "CNAME", "www"), "send in performancewest.net is a CNAME"),
        (
            record("send", "TXT", ESTATE.domains[SEND].spf, suspended=True),
            "send TXT in performancewest.net is suspended",
        ),
    ],
)
def test_nothing_that_is_published_is_replaced(there: Record, says: str) -> None:
    assert says in refusal(look(there, key=KEY))


def test_two_records_of_a_kind_are_refused() -> None:
    spf = record("send", "TXT", ESTATE.domains[SEND].spf)
    assert "send TXT in performancewest.net is there 2 times" in refusal(look(spf, spf))


def test_a_published_key_without_its_private_half_is_refused() -> None:
    assert "not (known once the key is made)" in refusal(look(record("send._domainkey.send", "TXT", KEY)))


def test_every_reason_is_said_at_once() -> None:
    said = refusal(
        look(
            record("send", "MX", "mail.example.com."),
            record("_dmarc.send", "TXT", "v=DMARC1; p=none"),
            watched={TRUCKING: "nobody\n", HEALTHCARE: ""},
        )
    )
    assert said.count("\n  - ") == 3
    assert f"{TRUCKING}:1: 'nobody' is no address" in said


def test_spf_of_the_estate_file_that_forgets_a_stream_is_refused() -> None:
    said = WHAT.said.model_copy(update={"spf": "v=spf1 ip4:207.174.124.94 -all"})
    what = Target(WHAT.domain, WHAT.selector, WHAT.bits, said, WHAT.streams)
    assert f"domains.{SEND}.spf does not let 207.174.124.107 of stream healthcare pass" in refusal(look(), what)
    nonsense = Target(SEND, "send", 2048, said.model_copy(update={"spf": "v=spf1 ip5:x"}), WHAT.streams)
    assert f"domains.{SEND}.spf" in refusal(look(), nonsense)


def test_tables_that_would_stop_mail_are_refused_before_anything_is_done() -> None:
    bad = Table(path="/etc/opendkim/SigningTable", patterns=True, text="*@other.example.com nowhere\n")
    said = refusal(look(signing=look().signing.model_copy(update={"signing_table": bad})))
    assert "OpenDKIM would refuse mail with its tables as they are" in said
    assert "SigningTable:1: no key is named nowhere" in said


def test_a_key_that_a_table_names_and_that_is_gone_is_not_made_anew() -> None:
    whole = after(look(), planned(look()))
    lost = whole.model_copy(update={"key": None, "zone": look().zone})
    assert f"KeyTable names /etc/opendkim/keys/{SEND}/send.private, which is not there" in refusal(lost)


def test_a_master_that_is_the_sending_host_is_refused() -> None:
    host = ESTATE.hosts["cp"].model_copy(update={"address": ESTATE.hosts["mta"].address})
    estate = ESTATE.model_copy(update={"hosts": {**ESTATE.hosts, "cp": host}})
    with pytest.raises(Refused, match="one run cannot hold it twice"):
        planning.target(estate)


def test_a_record_in_another_spelling_is_looked_for_as_it_is_published() -> None:
    seen = look(record("send", "TXT", ESTATE.domains[SEND].spf.upper()))
    wanted, *others = records.wanted("send", WHAT.said, "send", KEY)
    assert records.listed(seen.zone, wanted).value == ESTATE.domains[SEND].spf.upper()
    assert [records.listed(seen.zone, other) for other in others] == others


def test_a_stream_without_a_list_is_said_as_work_for_a_person() -> None:
    estate = estates.load(HERE.parents[2] / "estates" / "performancewest.toml")
    what = planning.target(estate)
    plan = planning.plan(look(watched={}), estate, what)
    assert plan.kept[0] == (
        f"MANUAL: name noreply@{SEND} to the bounce watcher of stream trucking (it has no watched_senders)"
    )


class TestTarget:
    def test_by_default_it_is_the_domain_with_a_key(self) -> None:
        assert (WHAT.domain, WHAT.selector, WHAT.bits) == (SEND, "send", 2048)
        assert list(WHAT.streams) == ["trucking", "healthcare"]

    def test_another_selector_makes_another_key(self) -> None:
        what = planning.target(ESTATE, SEND, "y2027")
        (made,) = planned(look(), what).new_keys()
        assert made.path == f"/etc/opendkim/keys/{SEND}/y2027.private"

    @pytest.mark.parametrize(("domain", "selector"), [("news.performancewest.net", ""), ("performancewest.net", "")])
    def test_what_the_estate_does_not_say_is_refused(self, domain: str, selector: str) -> None:
        with pytest.raises(Refused):
            planning.target(ESTATE, domain, selector)

    def test_a_domain_without_streams_is_refused(self) -> None:
        what = planning.target(ESTATE, "performancewest.net", "s1")
        assert "no stream with a submission port has its sender in performancewest.net" in refusal(look(), what)


def test_the_estate_wants_a_key_that_receivers_take() -> None:
    assert dkim.problems(KEY) == ()
