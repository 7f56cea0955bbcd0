"""A listing of HestiaCP, and what must not be written through it."""

import json

import pytest

from deliverability.dns import zone
from deliverability.errors import MalformedFile, Refused

ENTRY = {
    "ID": "12",
    "RECORD": "Send",
    "TYPE": "TXT",
    "PRIORITY": "",
    "VALUE": '"v=spf1 -all"',
    "SUSPENDED": "no",
    "TIME": "10:00:00",
    "DATE": "2026-06-19",
    "TTL": "14400",
}


def listing(*changes: dict[str, str]) -> str:
    return json.dumps({str(number): {**ENTRY, "ID": str(number), **change} for number, change in enumerate(changes, 1)})


def test_a_record_is_read_without_its_quotes() -> None:
    (record,) = zone.parse_listing(json.dumps({"12": ENTRY}))
    assert record == zone.Record(
        id=12, name="send", type="TXT", value="v=spf1 -all", priority=None, ttl=14400, suspended=False
    )


def test_records_come_by_id_and_suspended_ones_are_not_published() -> None:
    records = zone.parse_listing(
        listing({"SUSPENDED": "yes"}, {}, {"TYPE": "MX", "PRIORITY": "10", "VALUE": "co.carrierone.com."})
    )
    assert [record.id for record in records] == [1, 2, 3]
    assert [record.id for record in zone.at(records, "send", "TXT")] == [2]
    assert zone.at(records, "send", "MX")[0].priority == 10


@pytest.mark.parametrize("text", ["", "{", "[]", '{"1": {}}', '{"1": 3}', json.dumps({"1": {**ENTRY, "TTL": "x"}})])
def test_what_is_no_listing_is_refused(text: str) -> None:
    """An unknown format prints nothing and ends with 0: that is no empty zone."""
    with pytest.raises(MalformedFile, match="v-list-dns-records:1: no list of records"):
        zone.parse_listing(text)


def test_two_records_with_one_id_are_refused() -> None:
    """What is done to the one would be done to the other."""
    twice = listing({}, {}).replace('"2"', '"1"')
    with pytest.raises(MalformedFile, match="several records have the same id: 1"):
        zone.parse_listing(twice)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("performancewest.net", "@"),
        ("PerformanceWest.net.", "@"),
        ("send._domainkey.send.performancewest.net", "send._domainkey.send"),
    ],
)
def test_the_zone_is_taken_off_a_name(name: str, expected: str) -> None:
    assert zone.relative(name, "performancewest.net") == expected


@pytest.mark.parametrize("name", ["carrierone.com", "notperformancewest.net", ""])
def test_a_name_of_another_zone_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=r"is not in zone performancewest\.net"):
        zone.relative(name, "performancewest.net")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("-x", "v", "empty name"),
        ("x", "it's", "quotes and backslashes"),
        ("x", 'a "b" c', "quotes and backslashes"),
        ("x", "a\\b", "quotes and backslashes"),
        ("x", "a\nb", "printable ASCII"),
        ("x", "höher", "printable ASCII"),
        ("x", "x" * 255 + " y", "character 256 is a space"),
    ],
)
def test_what_hestia_would_publish_as_something_else_is_refused(name: str, value: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        zone.refuse_unwritable(name, value)


@pytest.mark.parametrize("value", ["v=spf1 ip4:207.174.124.94 -all", "x" * 254 + " y", "x" * 256 + " y"])
def test_only_the_space_between_two_strings_is_lost(value: str) -> None:
    """The ones beside it arrive, and may be written."""
    zone.refuse_unwritable("send", value)
    assert " " in value[:255] + value[256:]
    assert value[255:256] != " "
