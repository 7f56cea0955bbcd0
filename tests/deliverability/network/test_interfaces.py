"""The interfaces file: what ifquery and ifup --no-act of ifupdown 0.8.41 were seen to do with the same text."""

import pytest

from deliverability.errors import MalformedFile
from deliverability.network import interfaces, interfaces_edit

ETH0 = "auto eth0\niface eth0 inet static\n address 192.0.2.1/24\n"


def bound(text: str) -> list[tuple[str, str, int, str, str]]:
    return [(b.interface, b.address, b.prefix, b.label, b.how) for b in interfaces.addresses(interfaces.parse(text))]


@pytest.mark.parametrize(
    ("options", "address", "prefix"),
    [
        ("address 192.0.2.1/24", "192.0.2.1", 24),
        ("address 192.0.2.1\n netmask 255.255.255.0", "192.0.2.1", 24),
        ("netmask 24\n address 192.0.2.1", "192.0.2.1", 24),
        ("address 192.0.2.1/24\n netmask 255.255.0.0", "192.0.2.1", 16),
        ("address 192.0.2.1", "192.0.2.1", 24),
        ("address 10.0.0.1", "10.0.0.1", 8),
        ("address 172.16.0.1", "172.16.0.1", 16),
    ],
)
def test_address_forms(options: str, address: str, prefix: int) -> None:
    assert bound(f"iface eth0 inet static\n {options}\n") == [("eth0", address, prefix, "eth0", "stanza")]


def test_ipv6() -> None:
    text = "iface eth0 inet6 static\n address 2001:DB8::1/64\niface eth1 inet6 static\n address 2001:db8::2\n"
    assert bound(text) == [
        ("eth0", "2001:db8::1", 64, "eth0", "stanza"),
        ("eth1", "2001:db8::2", 128, "eth1", "stanza"),
    ]


def test_aliases_commands_and_further_stanzas() -> None:
    text = ETH0 + (
        " up ip addr add 192.0.2.2/24 dev eth0\n"
        " post-up /sbin/ip -4 addr add 192.0.2.3/32 dev $IFACE label eth0:9 || true\n"
        " pre-up ip address add dev eth1 192.0.2.4/24 brd + scope global\n"
        " up ip addr add 192.0.2.5/24 dev eth0 && ip addr add 192.0.2.6/24 dev eth0:6\n"
        " down ip addr del 192.0.2.2/24 dev eth0\n"
        "iface eth0:3 inet static\n address 192.0.2.7/24\n"
        "iface eth0 inet static\n address 192.0.2.8/24\n"
    )
    assert bound(text)[1:] == [
        ("eth0", "192.0.2.2", 24, "eth0", "command"),
        ("eth0", "192.0.2.3", 32, "eth0:9", "command"),
        ("eth1", "192.0.2.4", 24, "eth1", "command"),
        ("eth0", "192.0.2.5", 24, "eth0", "command"),
        ("eth0", "192.0.2.6", 24, "eth0:6", "command"),
        ("eth0", "192.0.2.7", 24, "eth0:3", "stanza"),
        ("eth0", "192.0.2.8", 24, "eth0", "stanza"),
    ]


@pytest.mark.parametrize(
    "command",
    [
        "ip addr show dev eth0",
        "ip addr add $A/24 dev eth0",
        "ip addr add 192.0.2.2/24",
        "ip addr add 192.0.2.999/24 dev eth0",
        "echo ip addr add 192.0.2.2/24 dev eth0",
        "ip route add 192.0.2.2/32 dev eth0",
        "ip addr add 192.0.2.2/24 dev",
        "ip addr add 192.0.2.2/24 192.0.2.3/24 dev eth0",
        "ip addr add '192.0.2.2/24 dev eth0",
        "for i in 1 2; do ip addr add 192.0.2.$i/24 dev eth0; done",
        "ip",
    ],
)
def test_commands_that_are_not_recognised(command: str) -> None:
    assert len(bound(ETH0 + f" up {command}\n")) == 1


def test_continuations_and_comments_as_ifupdown_reads_them() -> None:
    parsed = interfaces.parse(
        "iface eth0 inet manual\n"
        " # a comment \\\n"
        " up echo a \\\n"
        "# swallowed by the line above\n"
        " up echo b \\ \n"
        " up echo c \\"
    )
    (stanza,) = parsed.stanzas
    assert [(option.text, option.lines) for option in stanza.options] == [
        ("up echo a # swallowed by the line above", (3, 4)),
        ("up echo b \\", (5,)),
        ("up echo c", (6,)),
    ]


def test_stanza_words() -> None:
    parsed = interfaces.parse(
        "source /etc/network/interfaces.d/*\nsource-directory x\nauto lo\nallow-hotplug eth0 eth1\nno-auto-down eth0\n"
        "no-scripts eth0\nrename a=b\nmapping eth*\n script /x\n map a b\n\niface lo inet loopback\n"
        "iface t inet static\niface u inherits t\niface v inet inherits t\niface w inet static inherits t\n"
    )
    assert parsed.sources == ("source /etc/network/interfaces.d/*", "source-directory x")
    assert [s.names for s in parsed.stanzas if s.is_name_list] == [("lo",), ("eth0", "eth1"), ("eth0",), ("eth0",)]
    assert interfaces.addresses(parsed) == ()


@pytest.mark.parametrize(
    ("text", "line", "fact"),
    [
        ("address 192.0.2.1\n", 1, "misplaced option 'address'"),
        ("auto eth0\n address 192.0.2.1\n", 2, "misplaced option"),
        ("source /x\n address 192.0.2.1\n", 2, "misplaced option"),
        ("allow- eth0\n", 1, "misplaced option 'allow-'"),
        ("mapping eth0\n script /x\n foo\n", 3, "in a mapping"),
        ("iface eth0\n", 1, "needs an interface"),
        ("iface eth0 inet\n", 1, "unknown method ''"),
        ("iface eth0 inet statik\n", 1, "unknown method 'statik'"),
        ("iface eth0 inet5 static\n", 1, "unknown address family 'inet5'"),
        ("iface eth0 inherits foo\n", 1, "no earlier iface stanza"),
        ("iface eth0 inet static\n address\n", 2, "empty value"),
        ("iface eth0 inet static\n address 999.1.1.1/24\n", 2, "no address"),
        ("iface eth0 inet static\n address 192.0.2.1/33\n", 2, "no address"),
        (ETH0 + " address 192.0.2.2/24\n", 4, "a second address"),
        ("iface eth0 inet static\r\n", 1, "carriage return"),
        ("auto lo\n\0\n", 2, "NUL"),
        ("\u00a0auto q\n", 1, "misplaced option"),
    ],
)
def test_malformed(text: str, line: int, fact: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        interfaces.parse(text)
    assert caught.value.line == line
    assert fact in str(caught.value)


def test_removing_accepts_a_parsed_file_and_names_its_path() -> None:
    parsed = interfaces.parse(ETH0, "/x/interfaces")
    assert interfaces_edit.without(parsed, []) == ETH0
    with pytest.raises(ValueError, match="/x/interfaces binds no 192\\.0\\.2\\.9"):
        interfaces_edit.without(parsed, ["192.0.2.9"])


def test_what_is_asked_for_must_be_an_address() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        interfaces_edit.without(ETH0, ["eth0"])


def test_a_comment_may_name_a_removed_address() -> None:
    text = ETH0 + " # 192.0.2.2 was for trucking\n up ip addr add 192.0.2.2/24 dev eth0\n"
    assert interfaces_edit.without(text, ["192.0.2.2"]) == ETH0 + " # 192.0.2.2 was for trucking\n"


def test_an_alias_of_both_families_keeps_its_auto_line_while_one_is_left() -> None:
    six = "iface eth0:3 inet6 static\n address 2001:db8::3/64\n"
    text = ETH0 + "auto eth0:3\niface eth0:3 inet static\n address 192.0.2.3/24\n" + six
    assert interfaces_edit.without(text, ["192.0.2.3"]) == ETH0 + "auto eth0:3\n" + six


def test_an_alias_in_a_folded_auto_line() -> None:
    alias = "iface eth0:3 inet static\n address 192.0.2.3/24\n"
    assert interfaces_edit.without(ETH0 + "auto lo \\\n  eth0:3\n" + alias, ["192.0.2.3"]) == ETH0 + "auto lo \\\n\n"
    with pytest.raises(interfaces_edit.CannotRemove, match="cannot be struck"):
        interfaces_edit.without(ETH0 + "auto lo \\\neth0:3\n" + alias, ["192.0.2.3"])


def test_twenty_addresses_in_one_edit() -> None:
    lines = {n: f" up ip addr add 192.0.2.{n}/24 dev eth0\n" for n in range(90, 110)}
    kept = {94, 107}
    after = interfaces_edit.without(ETH0 + "".join(lines.values()), {f"192.0.2.{n}" for n in lines.keys() - kept})
    assert after == ETH0 + lines[94] + lines[107]
