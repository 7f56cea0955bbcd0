"""Read an SPF record without asking DNS. Source: RFC 7208 (grammar in section 12, limits in 4.6.4).

Nothing here is evaluated: a macro or another domain's record is named, not followed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

MAX_LOOKUPS = 10
"""Most DNS-querying terms an evaluation may meet, those of included records counted too (RFC 7208 4.6.4)."""

MAX_LENGTH = 65_535
"""Bytes a TXT record can hold."""

_VERSION = "v=spf1"
_TERM = re.compile(r"(?P<qualifier>[+?~-]?)(?P<name>[A-Za-z][A-Za-z0-9_.-]*)(?P<rest>.*)")
_CIDR = re.compile(r"(?P<value>.*?)(?:/(?P<four>\d+))?(?://(?P<six>\d+))?")
_MACRO_STRING = re.compile(r"(?:%\{[A-Za-z]\d*r?[.+,/_=-]*\}|%%|%_|%-|[\x21-\x24\x26-\x7e])+")
_DOMAIN_END = re.compile(r"(?:.*\.[A-Za-z0-9-]*[A-Za-z-][A-Za-z0-9-]*\.?|.*%\{[A-Za-z]\d*r?[.+,/_=-]*\})")
_QUERYING = ("include", "a", "mx", "ptr", "exists", "redirect")
_SENDER_NAMES = ("a", "mx", "include", "redirect")

Network = IPv4Network | IPv6Network


class SpfError(ValueError):
    """The record is no valid SPF: a receiver answers permerror for it. The message names the term."""


@dataclass(frozen=True)
class Mechanism:
    """One mechanism. `value` is the domain-spec or the network; a prefix length is None where the record gives none."""

    qualifier: str
    name: str
    value: str | None = None
    prefix4: int | None = None
    prefix6: int | None = None


@dataclass(frozen=True)
class Modifier:
    """One modifier, `name=value`; unknown ones are kept and have no effect."""

    name: str
    value: str


@dataclass(frozen=True)
class Spf:
    """A parsed record: mechanisms in the order they are tried, then the modifiers."""

    record: str
    mechanisms: tuple[Mechanism, ...]
    modifiers: tuple[Modifier, ...]

    @property
    def redirect(self) -> str | None:
        """The domain of redirect=, unless an `all` makes it ineffective."""
        if any(mechanism.name == "all" for mechanism in self.mechanisms):
            return None
        return next((modifier.value for modifier in self.modifiers if modifier.name == "redirect"), None)


def select(txt_strings: Iterable[str]) -> str | None:
    """The SPF record among the TXT records of one name (each already joined from its strings), or None for none.

    A record counts when it starts with v=spf1 and a space or its end. Raises SpfError for more than one.
    """
    records = [text for text in txt_strings if is_spf(text)]
    if len(records) > 1:
        raise SpfError(f"{len(records)} SPF records on one name, where a receiver accepts one")
    return records[0] if records else None


def is_spf(text: str) -> bool:
    """Whether a TXT record is an SPF record at all."""
    return re.match(rf"{_VERSION}(?: |\Z)", text, re.IGNORECASE) is not None


def parse(record: str) -> Spf:
    """Parse one record; SpfError names the first term that makes it a permerror."""
    if not is_spf(record):
        raise SpfError(f"no SPF record: {record[:40]!r}")
    if len(record) > MAX_LENGTH:
        raise SpfError(f"longer than {MAX_LENGTH} characters")
    mechanisms: list[Mechanism] = []
    modifiers: list[Modifier] = []
    for term in record[len(_VERSION) :].split(" "):
        if term:
            parsed = _term(term)
            if isinstance(parsed, Mechanism):
                mechanisms.append(parsed)
            else:
                modifiers.append(parsed)
    for name in ("redirect", "exp"):
        if sum(modifier.name == name for modifier in modifiers) > 1:
            raise SpfError(f"{name}= twice")
    return Spf(record, tuple(mechanisms), tuple(modifiers))


def lookups(spf: Spf) -> int:
    """How many DNS-querying terms this record itself has (at most MAX_LOOKUPS with those it includes)."""
    return sum(mechanism.name in _QUERYING for mechanism in spf.mechanisms) + (spf.redirect is not None)


def networks(spf: Spf) -> tuple[Network, ...]:
    """The networks of ip4 and ip6 terms that give pass, in order."""
    return tuple(
        ip_network(f"{mechanism.value}/{_length(mechanism)}", strict=False)
        for mechanism in spf.mechanisms
        if mechanism.name in ("ip4", "ip6") and mechanism.qualifier == "+"
    )


def names(spf: Spf) -> tuple[tuple[str, str | None], ...]:
    """(mechanism, domain) of each a, mx, include that gives pass and of redirect; None is the record's own domain."""
    found = [
        (mechanism.name, mechanism.value)
        for mechanism in spf.mechanisms
        if mechanism.name in _SENDER_NAMES and mechanism.qualifier == "+"
    ]
    return (*found, ("redirect", spf.redirect)) if spf.redirect else tuple(found)


def named_explicitly(spf: Spf, address: str) -> bool:
    """Whether a passing ip4 or ip6 term covers `address`."""
    host = ip_address(address)
    return any(host in network for network in networks(spf))


def _term(term: str) -> Mechanism | Modifier:
    match = _TERM.fullmatch(term)
    if match is None:
        raise SpfError(f"not understood: {term[:60]!r}")
    name, rest = match["name"].lower(), match["rest"]
    if rest.startswith("="):
        if match["qualifier"]:
            raise SpfError(f"a qualifier before a modifier: {term[:60]!r}")
        return _modifier(name, rest[1:], term)
    build = _MECHANISMS.get(name)
    if build is None:
        raise SpfError(f"unknown mechanism {term[:60]!r}")
    return build(match["qualifier"] or "+", name, rest, term)


def _modifier(name: str, value: str, term: str) -> Modifier:
    if name in ("redirect", "exp"):
        _check_domain(value, term)
    elif value and not _MACRO_STRING.fullmatch(value):
        raise SpfError(f"not understood: {term[:60]!r}")
    return Modifier(name, value)


def _all(qualifier: str, name: str, rest: str, term: str) -> Mechanism:
    if rest:
        raise SpfError(f"text after all: {term[:60]!r}")
    return Mechanism(qualifier, name)


def _network(qualifier: str, name: str, rest: str, term: str) -> Mechanism:
    kind, bits = (IPv4Network, 32) if name == "ip4" else (IPv6Network, 128)
    address, slash, length = rest[1:].partition("/")
    if not rest.startswith(":") or "%" in address or (slash and not _is_length(length, bits)):
        raise SpfError(f"no {name} network: {term[:60]!r}")
    try:
        kind(address)
    except ValueError as error:
        raise SpfError(f"no {name} network: {term[:60]!r}") from error
    return Mechanism(
        qualifier,
        name,
        address,
        prefix4=int(length) if slash and bits == 32 else None,
        prefix6=int(length) if slash and bits == 128 else None,
    )


def _domain(qualifier: str, name: str, rest: str, term: str) -> Mechanism:
    if not rest.startswith(":"):
        raise SpfError(f"{name} without a domain: {term[:60]!r}")
    _check_domain(rest[1:], term)
    return Mechanism(qualifier, name, rest[1:])


def _ptr(qualifier: str, name: str, rest: str, term: str) -> Mechanism:
    return _domain(qualifier, name, rest, term) if rest else Mechanism(qualifier, name)


def _hosts(qualifier: str, name: str, rest: str, term: str) -> Mechanism:
    match = _CIDR.fullmatch(rest)
    if match is None or not (match["value"].startswith(":") or not match["value"]):
        raise SpfError(f"not understood: {term[:60]!r}")
    for length, bits in ((match["four"], 32), (match["six"], 128)):
        if length is not None and not _is_length(length, bits):
            raise SpfError(f"a prefix length out of range: {term[:60]!r}")
    value = match["value"][1:] or None
    if match["value"]:
        _check_domain(value or "", term)
    four, six = match["four"], match["six"]
    return Mechanism(qualifier, name, value, int(four) if four else None, int(six) if six else None)


_MECHANISMS = {
    "all": _all,
    "ip4": _network,
    "ip6": _network,
    "include": _domain,
    "exists": _domain,
    "ptr": _ptr,
    "a": _hosts,
    "mx": _hosts,
}


def _check_domain(value: str, term: str) -> None:
    if not _MACRO_STRING.fullmatch(value) or not _DOMAIN_END.fullmatch(value):
        raise SpfError(f"no domain: {term[:60]!r}")


def _is_length(text: str, bits: int) -> bool:
    return re.fullmatch(r"0|[1-9]\d{0,2}", text, re.ASCII) is not None and int(text) <= bits


def _length(mechanism: Mechanism) -> int:
    given = mechanism.prefix4 if mechanism.name == "ip4" else mechanism.prefix6
    return given if given is not None else (32 if mechanism.name == "ip4" else 128)
