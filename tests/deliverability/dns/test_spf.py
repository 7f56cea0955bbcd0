"""SPF records: the runbook's own, RFC 7208's grammar, and what a receiver answers permerror for."""

from ipaddress import ip_network

import pytest

from deliverability.dns import spf

ROOT = "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 -all"


def test_the_root_record() -> None:
    record = spf.parse(ROOT)
    assert spf.lookups(record) == 2
    assert spf.names(record) == (("a", None), ("mx", None))
    assert spf.networks(record) == tuple(ip_network(f"207.174.124.{n}/32") for n in (15, 94, 107))
    assert record.mechanisms[-1] == spf.Mechanism("-", "all")


def test_every_kind_of_term() -> None:
    record = spf.parse(
        "v=SPF1 +A:mail.example.com/24//64 ~mx/28 MX:x.example. a//64 ip4:192.0.2.0/24 ?ip4:198.51.100.1 "
        "ip6:2001:db8::/32 include:_spf.example.com ptr ptr:x.example exists:%{i}._s.%{d2} redirect=r.example "
        "exp=e.example unknown=anything/%{s}  "
    )
    assert record.mechanisms[:4] == (
        spf.Mechanism("+", "a", "mail.example.com", 24, 64),
        spf.Mechanism("~", "mx", None, 28),
        spf.Mechanism("+", "mx", "x.example."),
        spf.Mechanism("+", "a", None, None, 64),
    )
    assert spf.lookups(record) == 9
    assert spf.names(record) == (
        ("a", "mail.example.com"),
        ("mx", "x.example."),
        ("a", None),
        ("include", "_spf.example.com"),
        ("redirect", "r.example"),
    )
    assert [str(network) for network in spf.networks(record)] == ["192.0.2.0/24", "2001:db8::/32"]
    assert spf.parse(spf.render(record)) == record


def test_all_makes_redirect_ineffective() -> None:
    record = spf.parse("v=spf1 redirect=r.example -all")
    assert record.redirect is None
    assert record.all == spf.Mechanism("-", "all")
    assert spf.lookups(record) == 0


def test_an_empty_record() -> None:
    assert spf.parse("v=spf1").mechanisms == ()
    assert spf.parse("v=spf1 ").mechanisms == ()


@pytest.mark.parametrize(
    "terms",
    [
        "ip4:1.2.3.4-all",
        "ip4:1.2.3.4ip4:1.2.3.5",
        "ip4:1.2.3",
        "ip4:1.2.3.4/33",
        "ip4:1.2.3.4/024",
        "ip4:1.2.3.4/",
        "ip4:1.2.3.4//64",
        "ip4",
        "ip4:",
        "ip4:2001:db8::1",
        "ip6:1.2.3.4",
        "ip6:2001:db8::/129",
        "ip6:fe80::1%eth0",
        "ipv4:1.2.3.4",
        "all:x",
        "allow",
        "-all,",
        "include",
        "include:",
        "include:localhost",
        "include:example.com/24",
        "a:",
        "a:example.com/33",
        "mx/-1",
        "a/24/64",
        "mx:exa\u00e4mple.com",
        "exists:%{z",
        "exists:%x.example.com",
        "redirect=",
        "redirect=a.example redirect=b.example",
        "exp=a.example exp=b.example",
        "-redirect=a.example",
        "1.2.3.4",
        "+",
        "a\tmx",
        "v=spf1\n",
        "a\x00",
    ],
)
def test_permerror(terms: str) -> None:
    with pytest.raises(spf.SpfError) as caught:
        spf.parse(f"v=spf1 {terms}")
    assert caught.value.next_step


@pytest.mark.parametrize("record", ["", "v=spf10 -all", "v=spf1-all", " v=spf1", "spf2.0/pra -all", "v=spf1\t-all"])
def test_no_spf_at_all(record: str) -> None:
    assert not spf.is_spf(record)
    with pytest.raises(spf.SpfError, match="no SPF record"):
        spf.parse(record)


def test_select() -> None:
    other = ["google-site-verification=abc", "v=spf10", "v=DMARC1; p=none"]
    assert spf.select(other) is None
    assert spf.select([*other, ROOT]) == ROOT
    with pytest.raises(spf.SpfError, match="2 SPF records"):
        spf.select([ROOT, "V=SPF1 -all"])


def test_a_huge_record() -> None:
    with pytest.raises(spf.SpfError, match="longer than"):
        spf.parse("v=spf1" + " a" * 40_000)
    with pytest.raises(spf.SpfError):
        spf.parse("v=spf1 exists:" + "a." * 20_000 + "!!")
