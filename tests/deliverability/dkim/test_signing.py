"""Where a host keeps its tables, where a key goes, and the edits that sign one more domain."""

from typing import Any

import pytest

from deliverability.dkim import signing
from deliverability.dkim.signing import Place, Signing, Table
from deliverability.errors import MalformedFile, Refused
from deliverability.plan import EditFile

KEYS, RULES = "/etc/opendkim/KeyTable", "/etc/opendkim/SigningTable"
DOMAIN = "send.performancewest.net"
KEY_LINE = f"send._domainkey.{DOMAIN} {DOMAIN}:send:/etc/opendkim/keys/{DOMAIN}/send.private\n"
RULE_LINE = f"*@{DOMAIN} send._domainkey.{DOMAIN}\n"


def host(keys: str = "", rules: str = "", loaded: bool = True) -> Signing:
    return Signing(
        host="mta",
        key_table=Table(path=KEYS, patterns=True, text=keys),
        signing_table=Table(path=RULES, patterns=True, text=rules),
        loaded=loaded,
    )


def targets(before: Signing) -> list[str]:
    return [change.target for change in signing.changes(before, DOMAIN, "send")]


@pytest.mark.parametrize(
    ("conf", "places"),
    [
        (f"KeyTable refile:{KEYS}\nSigningTable\trefile:{RULES}\n", (True, True)),
        (f"keytable {KEYS}\nSIGNINGTABLE file:{RULES} # mk\n", (False, False)),
        (f"#KeyTable csl:x\nKeyTable /old\nKeyTable {KEYS}\n  SigningTable   refile:{RULES}", (False, True)),
    ],
)
def test_tables_are_where_opendkim_conf_says(conf: str, places: tuple[bool, bool]) -> None:
    assert signing.places(conf) == (Place(KEYS, places[0]), Place(RULES, places[1]))


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ("", r"opendkim\.conf:1: KeyTable is not set: only text files"),
        (f"KeyTable {KEYS}\nSigningTable dsn:pgsql://x\n", r"opendkim\.conf:2: SigningTable dsn:pgsql://x: only text"),
        (f"KeyTable keys\nSigningTable {RULES}\n", "KeyTable keys: only text files"),
    ],
)
def test_a_table_that_is_no_text_file_is_said(conf: str, said: str) -> None:
    with pytest.raises(MalformedFile, match=said):
        signing.places(conf)


@pytest.mark.parametrize(
    ("domain", "selector"), [("../x", "s"), ("x.test", "a/b"), ("", "s"), ("x..test", "s"), ("X.test", "s")]
)
def test_a_name_that_would_lead_elsewhere_is_refused(domain: str, selector: str) -> None:
    with pytest.raises(Refused, match="is no name of a domain or selector"):
        signing.key_path(domain, selector)


def test_a_new_domain_gets_its_key_first_then_its_rule_then_a_reload() -> None:
    first, second, last = signing.changes(host(), DOMAIN, "send")
    assert isinstance(first, EditFile)
    assert isinstance(second, EditFile)
    assert (first.after, second.after, last.target) == (KEY_LINE, RULE_LINE, "opendkim")
    assert first.items == (f"line {KEY_LINE.strip()}",)


def test_of_a_half_finished_set_up_only_the_rest_is_done() -> None:
    assert targets(host(KEY_LINE)) == [RULES, "opendkim"]
    assert targets(host(KEY_LINE, RULE_LINE, loaded=False)) == ["opendkim"]
    assert targets(host(KEY_LINE, RULE_LINE)) == []


def test_a_key_that_has_another_name_already_keeps_it() -> None:
    named: Any = KEY_LINE.replace(f"send._domainkey.{DOMAIN} ", "bulk ")
    (rule, _) = signing.changes(host(named), DOMAIN, "send")
    assert isinstance(rule, EditFile)
    assert rule.after == f"*@{DOMAIN} bulk\n"
    assert targets(host(named, f"*@{DOMAIN} bulk\n")) == []


def test_another_key_for_the_domain_is_a_refusal() -> None:
    with pytest.raises(Refused, match="is signed with old; a line for"):
        signing.changes(host(KEY_LINE, f"*@{DOMAIN} old\n"), DOMAIN, "send")
