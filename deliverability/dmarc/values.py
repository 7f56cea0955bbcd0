"""The values in a report, as reporters write them: with blanks, fractions, other cases, and nonsense."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

_SECONDS = re.compile(r"([0-9]{1,11})(?:\.[0-9]{1,9})?", re.ASCII)
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
"""In its one form: most addresses are, and `ip_address` takes twenty times as long."""
COUNT_LIMIT = 1 << 31


def count(text: str) -> int:
    """Messages, 1 to 2^31. Raises ValueError: a sign, an exponent or other digits than ASCII's are no count."""
    if not (text.isdigit() and text.isascii() and len(text) <= 10 and 1 <= (number := int(text)) <= COUNT_LIMIT):
        raise ValueError("count")
    return number


def address(text: str) -> str:
    """An IPv4 or IPv6 address in canonical form, an IPv4 address in IPv6 as IPv4. Raises ValueError."""
    return text if _IPV4.fullmatch(text) else _canonical(text)


@lru_cache(maxsize=1 << 14)
def _canonical(text: str) -> str:
    try:
        found = IPv6Address(text) if ":" in text else IPv4Address(text)
    except ValueError:
        raise ValueError("source_ip") from None
    if "%" in text:  # a zone names an interface of the reporter's
        raise ValueError("source_ip")
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def instant(text: str) -> int:
    """Unix seconds of a time stamp: seconds, with or without a fraction, or ISO 8601. Raises ValueError."""
    if found := _SECONDS.fullmatch(text):
        return int(found[1])
    if len(text) > 40:
        raise ValueError("time")
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def line(text: object, limit: int) -> str:
    """One line of text that every database takes: a mail header may hold bytes that are no text, and NUL."""
    clean = str(text).encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return " ".join(clean.split())[:limit]
