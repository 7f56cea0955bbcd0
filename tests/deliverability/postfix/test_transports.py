"""Which transports main.cf, master.cf overrides and tables refer to."""

import pytest

from deliverability.errors import MalformedFile
from deliverability.postfix import main_cf, transports


def named(text: str) -> dict[str, set[str]]:
    return {name: set(values) for name, values in transports.transports_named(main_cf.parse(text)).items()}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("randmap:{out05:}", {"out05"}),
        ("randmap:{out05:, hcout1:}", {"out05", "hcout1"}),
        ("randmap:{out05: hcout1:[192.0.2.1]:25}", {"out05", "hcout1"}),
        ("inline:{ a.example=out05:, { b.example = out06:host } }", {"out05", "out06"}),
        ("static:out05:", {"out05"}),
        ("static:{out05:}", {"out05"}),
        ("unionmap:{inline:{x=out05:}, static:out06:}", {"out05", "out06"}),
        ("pipemap:{randmap:{a:}, inline:{b=c:}}", {"a", "c"}),
        ("proxy:randmap:{out05:}", {"out05"}),
        ("regexp:{ {/@a\\.example$/ out05:} }", {"out05"}),
        ("cidr:{ {192.0.2.0/24 out05:} }", {"out05"}),
        ("hash:/etc/postfix/transport", set()),
        ("hash:/etc/postfix/transport, randmap:{out05:}", {"out05"}),
        ("inline:{ a.example=:[192.0.2.1], b.example= }", set()),
        ("", set()),
        ("randmap:{", set()),
        ("randmap:{}", set()),
    ],
)
def test_maps(value: str, names: set[str]) -> None:
    assert transports.transports_in("transport_maps", value) == names


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("out05:", {"out05"}),
        ("out05", {"out05"}),
        ("out05:[192.0.2.1]:2525", {"out05"}),
        ("lmtp:unix:private/dovecot-lmtp", {"lmtp"}),
        ("error:5.1.1 no such user: go away", {"error"}),
        ("", set()),
        (":[192.0.2.1]", set()),
    ],
)
def test_single_transports(value: str, names: set[str]) -> None:
    assert transports.transports_in("default_transport", value) == names
    assert transports.transports_in("content_filter", value) == names
    assert transports.transports_in("myhostname", value) == frozenset()


def test_main_cf_is_expanded_first() -> None:
    text = "pool = {out05:, out06:}\ntransport_maps = randmap:$pool\ndefault_transport = $filter\nfilter = hcout1:\n"
    assert named(text) == {"transport_maps": {"out05", "out06"}, "default_transport": {"hcout1"}}


def test_what_cannot_be_decided_is_counted_in() -> None:
    assert named("default_transport = ${unknown?{out05:}:{out06:}}\n")["default_transport"] >= {"out05", "out06"}


def test_filters_in_restrictions_and_checks() -> None:
    text = (
        "smtpd_sender_restrictions = permit_mynetworks,\n"
        "  check_sender_access inline:{ {a.example = FILTER out05:} {b = REJECT no: go} }, permit\n"
        "header_checks = regexp:{ {/^X: y/ FILTER out06:[192.0.2.1]} {/z/ DISCARD} }\n"
    )
    assert named(text) == {"smtpd_sender_restrictions": {"out05"}, "header_checks": {"out06"}}


def test_tables_elsewhere() -> None:
    text = (
        "default_database_type = lmdb\n"
        "dir = /etc/postfix\n"
        "transport_maps = hash:$dir/transport, /etc/postfix/bare, proxy:pgsql:/etc/postfix/pg.cf\n"
        "  randmap:{a:}, unionmap:{texthash:/etc/postfix/t, tcp:127.0.0.1:9}\n"
        "sender_dependent_default_transport_maps = regexp:/etc/postfix/sender\n"
        "smtpd_recipient_restrictions = check_recipient_access pcre:/etc/postfix/rcpt, permit\n"
    )
    assert transports.tables(main_cf.parse(text)) == (
        ("transport_maps", "hash", "/etc/postfix/transport"),
        ("transport_maps", "lmdb", "/etc/postfix/bare"),
        ("transport_maps", "pgsql", "/etc/postfix/pg.cf"),
        ("transport_maps", "texthash", "/etc/postfix/t"),
        ("transport_maps", "tcp", "127.0.0.1:9"),
        ("sender_dependent_default_transport_maps", "regexp", "/etc/postfix/sender"),
        ("smtpd_recipient_restrictions", "pcre", "/etc/postfix/rcpt"),
    )


@pytest.mark.parametrize(
    ("kind", "text", "names"),
    [
        (
            "hash",
            "# c\na.example   out05:\n.b.example\tout06:[192.0.2.1]\n*  :\nc out07\n",
            {"out05", "out06", "out07"},
        ),
        ("hash", "a.example\n   out05:\n# x\n", {"out05"}),
        ("hash", '"a b"@c.example out05:\n', {"out05"}),
        ("hash", 'stray"quote out05:\n', {"out05"}),
        ("hash", "lonely\n", set()),
        ("regexp", "/^a b\\/c/i out05:\n!/d/ out06:\nif /e/\n|f|  out07:$1\nendif\n", {"out05", "out06", "out07"}),
        ("pcre", "/(.*)/ out$1:\n/broken\n", {"out$1"}),
        ("cidr", "192.0.2.0/24 out05:\nif 198.51.100.0/24\n198.51.100.1 FILTER out06:x\nendif\n", {"out05", "out06"}),
    ],
)
def test_right_hand_sides(kind: str, text: str, names: set[str]) -> None:
    assert transports.transports_in_table(text, kind) == names


def test_a_table_with_carriage_returns() -> None:
    with pytest.raises(MalformedFile, match="carriage return"):
        transports.transports_in_table("a out05:\r\n")


def test_a_hostile_pattern_is_no_trap() -> None:
    assert transports.transports_in_table("/" + "\\a" * 20_000 + "\n", "pcre") == frozenset()
