"""Read an SPF record without asking DNS. Source: RFC 7208 (grammar in section 12, selection in 4.5).

Nothing here is evaluated: a macro or another domain's record is named, not followed.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from deliverability.dns.spf.macros import is_domain_spec, is_macro_string
from deliverability.dns.spf.terms import MAX_LENGTH, VERSION, Mechanism, Modifier, Spf, Term
from deliverability.errors import SpfError

_TERM = re.compile(r"(?P<qualifier>[+?~-]?)(?P<name>[A-Za-z][A-Za-z0-9_.-]*)(?P<rest>.*)")
_CIDR = re.compile(r"(?P<value>.*?)(?:/(?P<four>\d+))?(?://(?P<six>\d+))?")
_LENGTH = re.compile(r"0|[1-9]\d{0,2}")
_ODD = re.compile(r"[^\x20-\x7e]")
_SHOWN = 60


def is_spf(text: str) -> bool:
    """Whether a TXT record is an SPF record at all: v=spf1, then a space or the end (RFC 7208 4.5)."""
    return re.match(rf"{VERSION}(?: |\Z)", text, re.IGNORECASE) is not None


def select(txt_records: Iterable[str]) -> str | None:
    """The SPF record among the TXT records of one name (each already joined from its strings), or None for none.

    Raises SpfError for more than one: a receiver chooses none of them (RFC 7208 4.5).
    """
    records = [text for text in txt_records if is_spf(text)]
    if len(records) > 1:
        raise SpfError(
            f"{len(records)} SPF records on one name, where a receiver accepts one (RFC 7208 4.5)",
            next_step="merge them into one record and delete the others",
        )
    return records[0] if records else None


def parse(text: str) -> Spf:
    """Parse one record. SpfError names the first term that makes every receiver answer permerror."""
    if not is_spf(text):
        raise SpfError(f"no SPF record: {text[:_SHOWN]!r}", next_step=f"begin the record with {VERSION} and a space")
    if len(text) > MAX_LENGTH:
        raise SpfError(f"longer than the {MAX_LENGTH} bytes of a TXT record", next_step="list fewer addresses")
    if odd := _ODD.search(text):
        fact = f"character {odd.start() + 1} is {odd[0]!r}, and a record is printable ASCII"
        raise SpfError(fact, next_step="write the terms in ASCII with single spaces between them")
    terms = tuple(_term(word) for word in text[len(VERSION) :].split(" ") if word)
    for name in ("redirect", "exp"):
        if sum(isinstance(term, Modifier) and term.name == name for term in terms) > 1:
            raise SpfError(f"{name}= twice, where a record may have one (RFC 7208 6)", next_step=f"keep one {name}=")
    return Spf(terms)


def _term(word: str) -> Term:
    match = _TERM.fullmatch(word)
    if match is None:
        raise _wrong("not understood", word)
    name, rest = match["name"].lower(), match["rest"]
    if rest.startswith("="):
        if match["qualifier"]:
            raise _wrong("a qualifier before a modifier", word)
        return _modifier(name, rest[1:], word)
    build = _MECHANISMS.get(name)
    if build is None:
        raise _wrong("unknown mechanism", word)
    return build(match["qualifier"] or "+", name, rest, word)


def _modifier(name: str, value: str, word: str) -> Modifier:
    is_valid = is_domain_spec if name in ("redirect", "exp") else is_macro_string
    if not is_valid(value):
        raise _wrong("not understood", word)
    return Modifier(name, value)


def _all(qualifier: str, name: str, rest: str, word: str) -> Mechanism:
    if rest:
        raise _wrong("text after all", word)
    return Mechanism(qualifier, name)


def _network(qualifier: str, name: str, rest: str, word: str) -> Mechanism:
    kind, bits = (IPv4Address, 32) if name == "ip4" else (IPv6Address, 128)
    value, slash, length = rest[1:].partition("/")
    if not rest.startswith(":") or "%" in value or (slash and not _is_length(length, bits)):
        raise _wrong(f"no {name} network", word)
    try:
        kind(value)
    except ValueError:
        raise _wrong(f"no {name} network", word) from None
    prefix = int(length) if slash else None
    return Mechanism(qualifier, name, value, *((prefix, None) if bits == 32 else (None, prefix)))


def _domain(qualifier: str, name: str, rest: str, word: str) -> Mechanism:
    if not rest.startswith(":") or not is_domain_spec(rest[1:]):
        raise _wrong(f"{name} without a domain", word)
    return Mechanism(qualifier, name, rest[1:])


def _ptr(qualifier: str, name: str, rest: str, word: str) -> Mechanism:
    return _domain(qualifier, name, rest, word) if rest else Mechanism(qualifier, name)


def _hosts(qualifier: str, name: str, rest: str, word: str) -> Mechanism:
    match = _CIDR.fullmatch(rest)
    if match is None or (match["value"] and not (match["value"][0] == ":" and is_domain_spec(match["value"][1:]))):
        raise _wrong("no domain", word)
    four, six = match["four"], match["six"]
    if (four and not _is_length(four, 32)) or (six and not _is_length(six, 128)):
        raise _wrong("a prefix length out of range", word)
    return Mechanism(
        qualifier, name, match["value"][1:] or None, int(four) if four else None, int(six) if six else None
    )


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


def _is_length(text: str, bits: int) -> bool:
    return _LENGTH.fullmatch(text) is not None and int(text) <= bits


def _wrong(fact: str, word: str) -> SpfError:
    return SpfError(
        f"{fact}: {word[:_SHOWN]!r}", next_step="correct this term: one that is wrong spoils the whole record"
    )
