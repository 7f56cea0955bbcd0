"""How much of a report is believed. Anyone may mail one; RFC 9990 section 9 asks the receiver to expect bad ones."""

from dataclasses import dataclass

MEGABYTE = 1 << 20
DAY = 86_400


@dataclass(frozen=True)
class Limits:
    """Far over everything that reporters send (the largest known: 100,000 records, 78 MB, packed 45 to 1)."""

    mail: int = 32 * MEGABYTE
    """Bytes of one message, as it is fetched."""
    inflated: int = 160 * MEGABYTE
    """Bytes of one document, unpacked; and of all in one message before the last one."""
    ratio: int = 250
    """Unpacked to packed, over the first 16 MB."""
    documents: int = 64
    """In one message, and in one zip file."""
    members: int = 4_000
    """Of one gzip file, and files of any kind in one zip file."""
    parts: int = 1_000
    """MIME parts of one message."""
    boundaries: int = 50
    """Multiparts and messages within one message: Python's parser needs its stack for each, and time at every line."""
    lines: int = 600_000
    """Of one message; base64 has 25,000 to the megabyte."""
    field: int = 8 * 1024
    """Characters in one field of a mail's header."""
    records: int = 500_000
    tags: int = 6_000_000
    """Of one report, opening and closing: 150,000 records that have all there is, and a quarter of a minute's work."""
    unknown: int = 1_000_000
    """Elements of one report that are none of a report's."""
    depth: int = 32
    text: int = 1 << 16
    """Characters in one element."""
    token: int = 2 * MEGABYTE
    """Bytes of one tag with its attributes."""
    messages: int = 1 << 40
    """Sum of a report's counts."""
    span: int = 31 * DAY
    """Seconds that one report may cover."""
    age: int = 5 * 365 * DAY
    """Seconds before now."""
    future: int = 2 * DAY
    """Seconds after now: clocks differ, and some reporters end their day in their own time zone."""


LIMITS = Limits()
