"""What an undo plans of a run that changed records, a From and files: the last first, and nothing that has moved on."""

from pathlib import Path
from typing import Any

import pytest

from deliverability import rollback_forward
from deliverability.dns.zone import Record, Zone
from deliverability.errors import Refused
from deliverability.estate import load
from deliverability.listmonk import Instance
from deliverability.plan import (
    KNOWN_LATER,
    AddAddress,
    Change,
    EditFile,
    MakeKey,
    Plan,
    ReloadService,
    SetListmonkFrom,
    SetRecord,
)
from deliverability.rollback_forward import ForwardLook

ESTATE = load(Path(__file__).parents[2] / "estates" / "rehearsal.toml")
KEY, TABLE = "/keys/send.private", "/etc/opendkim/KeyTable"
RECORD: dict[str, Any] = {"host": "cp", "zone": "performancewest.net", "owner": "justin", "type": "TXT"}
SPF = SetRecord(**RECORD, name="send", before=None, after="v=spf1 -all")
DKIM = SetRecord(**RECORD, name="s._domainkey", before=None, after=KNOWN_LATER)
TRIM = SetRecord(**RECORD, name="@", before="v=spf1 a mx -all", after="v=spf1 a -all")
TWIN = SetRecord(**RECORD, name="@", before="v=spf1 mx -all", after=None)
EDIT = EditFile(host="mta", path=TABLE, before="", after="a line\n")
FROM = SetListmonkFrom(host="mta", instance="listmonk", before="a@example.com", after="b@example.com")
SET_UP: tuple[Change, ...] = (
    MakeKey(host="mta", domain="send.example.com", selector="s", bits=2048, path=KEY),
    *(SPF, DKIM, EDIT),
    ReloadService(host="mta", service="opendkim"),
    FROM,
)


def look(records: dict[str, list[str]], text: str = "a line\n", sender: str = "b@example.com") -> ForwardLook:
    listed = [(name, value) for name, values in records.items() for value in values]
    return ForwardLook(
        zone=Zone(
            name="performancewest.net",
            owner="justin",
            ttl=14400,
            serial=7,
            signed=True,
            records=tuple(
                Record(id=id, name=name, type="TXT", value=value, priority=None, ttl=14400, suspended=False)
                for id, (name, value) in enumerate(listed)
            ),
        ),
        key_records={KEY: "v=DKIM1; p=abc"},
        instances={
            "listmonk": Instance(name="listmonk", service="x.service", from_email=sender, loaded=True, servers=())
        },
        files={TABLE: text},
    )


def planned(changes: tuple[Change, ...], now: ForwardLook) -> Plan:
    past = Plan(procedure="subdomain-setup", estate="rehearsal", host="mta", changes=changes)
    return rollback_forward.plan("20261126T000000-x", past, now, ESTATE)


def test_an_address_that_came_back_is_the_cleanups_to_remove() -> None:
    came = AddAddress(host="mta", interface="eth0", address="192.0.2.9", prefix=24, label="eth0")
    with pytest.raises(Refused, match="gave an address back") as refused:
        planned((SPF, came), look({}))
    assert "runbook run snowshoe-cleanup" in str(refused.value)


WHOLE = {"send": ["v=spf1 -all", "yahoo-verification-key=x"], "s._domainkey": ["v=DKIM1; p=abc"]}


def test_the_last_change_is_taken_back_first_and_the_key_stays() -> None:
    plan = planned(SET_UP, look(WHOLE))
    assert [(change.kind, change.target) for change in plan.changes] == [
        ("set-listmonk-from", "From of listmonk"),
        ("edit-file", TABLE),
        ("reload-service", "opendkim"),
        ("set-record", "s._domainkey TXT in performancewest.net"),
        ("set-record", "send TXT in performancewest.net"),
    ]
    assert [(record.before, record.after) for record in plan.records()] == [
        ("v=DKIM1; p=abc", None),
        ("v=spf1 -all", None),
    ]
    assert plan.kept == (f"the key {KEY}: nothing is signed with it",)


def test_what_is_back_already_is_left_out() -> None:
    plan = planned(SET_UP, look({"send": ["v=spf1 -all"]}, text=""))
    assert [change.kind for change in plan.changes] == ["set-listmonk-from", "set-record"]
    assert planned(SET_UP, look({"send": ["another=text"]}, text="", sender="a@example.com")).empty


def test_a_record_and_its_twin_come_back() -> None:
    plan = planned((TRIM, TWIN), look({"@": ["v=spf1 a -all"]}))
    assert [(record.before, record.after) for record in plan.records()] == [
        (None, "v=spf1 mx -all"),
        ("v=spf1 a -all", "v=spf1 a mx -all"),
    ]
    assert planned((TRIM, TWIN), look({"@": ["v=spf1 a mx -all", "v=spf1 mx -all"]})).empty


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (look({"@": ["v=spf1 ?all"]}), "@ TXT in performancewest.net was changed since the run"),
        (look({**WHOLE, "@": ["v=spf1 a -all"]}, text="other\n"), f"{TABLE} was changed since the run"),
        (look({**WHOLE, "@": ["v=spf1 a -all"]}, sender="c@example.com"), "From of listmonk was changed since the run"),
        (
            look({**WHOLE, "@": ["v=spf1 a -all"]}).model_copy(update={"key_records": {KEY: None}}),
            "the key it was published for is gone",
        ),
        (look({**WHOLE, "@": ["v=spf1 a -all"]}).model_copy(update={"files": {}}), f"{TABLE} was changed"),
    ],
)
def test_what_has_moved_on_is_refused(now: ForwardLook, says: str) -> None:
    with pytest.raises(Refused, match="is not undone, 1 reason") as refused:
        planned((*SET_UP, TRIM), now)
    assert says in str(refused.value)
