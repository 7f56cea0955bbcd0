"""OpenDKIM's tables: every JSON case of a line to add, then what the tables say of an address, and what stops mail."""

import json
from pathlib import Path
from typing import Any

import pytest

from deliverability.dkim import tables
from deliverability.dkim.tables import Key, Rule, Tables
from deliverability.errors import MalformedFile, Refused

CASES = Path(__file__).parents[2] / "cases"
FILES = sorted(path for name in ("key_table_add", "signing_table_add") for path in (CASES / name).glob("*.json"))
SEND = Key("s", "send.performancewest.net", "send", "/etc/opendkim/keys/send.private", 1)


def added(operation: str, text: str, add: dict[str, Any]) -> str:
    if operation == "key_table_add":
        return tables.add_key(text, Key(**add))
    return tables.add_rule(text, add["domain"], add["key"], patterns=add["patterns"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path) -> None:
    case = json.loads(path.read_text())
    given, expect = case["given"], case["expect"]
    if "error" in expect:
        with pytest.raises((Refused, MalformedFile)) as caught:
            added(path.parent.name, given["text"], given["add"])
        assert expect["error"] in str(caught.value)
    else:
        assert added(path.parent.name, given["text"], given["add"]) == expect["text"]


@pytest.mark.parametrize(
    "path", [path for path in FILES if not path.name.endswith(".again.json")], ids=lambda p: p.stem
)
def test_every_case_has_a_sibling_that_changes_nothing(path: Path) -> None:
    first, again = (json.loads(file.read_text()) for file in (path, path.with_suffix(".again.json")))
    assert again["given"] == {**first["given"], "text": first["expect"].get("text", first["given"]["text"])}
    assert again["expect"] == first["expect"]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("noreply@send.performancewest.net", "s"),
        ("NoReply@Send.PerformanceWest.NET", "s"),
        ("noreply@performancewest.net", None),
        ("noreply@x.send.performancewest.net", None),
        ("ceo@performancewest.net", "s"),
    ],
)
def test_who_is_signed(address: str, key: str | None) -> None:
    rules = (Rule("ceo@performancewest.net", "s", 1), Rule("*@send.performancewest.net", "s", 2))
    found = tables.key_for(Tables((SEND,), rules), address)
    assert (found.name if found else None) == key


def test_the_first_match_counts_and_a_plain_table_asks_for_the_address_first() -> None:
    other = Key("o", "x", "x", "/x", 2)
    rules = (Rule("x.test", "s", 1), Rule("a@x.test", "o", 2))
    assert tables.key_for(Tables((SEND, other), rules, patterns=False), "a@x.test") == other
    assert tables.key_for(Tables((SEND, other), (Rule("*@x.test", "s", 1), rules[1])), "a@x.test") == SEND


def test_what_stops_mail_is_named_line_by_line() -> None:
    twice = (SEND, Key("s", "x", "x", "/x", 2), Key("r", "x", "x", "keys/x", 3))
    found = tables.problems(Tables(twice, (Rule("*@x.test", "nowhere", 7), Rule("*@y.test", "s", 8))))
    assert found == (
        "SigningTable:7: no key is named nowhere",
        "KeyTable has 2 keys named s",
        "KeyTable:3: keys/x is no absolute path",
    )
    assert tables.problems(Tables((SEND,), (Rule("*@x.test", "s", 1),))) == ()
