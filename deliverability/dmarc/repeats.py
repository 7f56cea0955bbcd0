"""Most records of a report are laid out like one before, and most of those differ in address and count alone.

A record that is the same to the byte but for address and count means what the one before meant. Of one that is laid out
like another one the texts are taken. Every other record goes through the parser.
"""

from collections.abc import Sequence
from typing import Protocol

from deliverability.dmarc import layout, values
from deliverability.dmarc.layout import Layout
from deliverability.dmarc.report import Record

_BEGIN, _END = b"<record>", b"</record>"
_SOURCE, _COUNT = b"source_ip>", b"count>"

KNOWN_LIMIT = 4_096
KNOWN_SIZE = 2_048
"""Bytes: what is longer is read each time, for all that is known stays in memory."""
LAYOUT_LIMIT = 16
"""New ones of one report: each costs some milliseconds."""
LAYOUTS_LIMIT = 256
WAITING_LIMIT = 1 << 18
"""Bytes that wait for the end of a record; no record of a reporter's has so many."""

Same = tuple[bytes, bytes, bytes, bytes, bytes]
"""What stands before, between and after address and count."""
_NOTHING = (b"", b"", b"", b"", b"")

_known: dict[Same, Record] = {}
"""Of all reports, since a reporter's are alike."""
_layouts: dict[int, list[Layout]] = {}
"""Of all reports, by the number of tags, in which nearly all of them differ."""


class Parser(Protocol):
    """What reads a report."""

    batch: list[Record]

    def feed(self, chunk: bytes) -> None: ...

    @property
    def between_records(self) -> bool:
        """Whether the next record begins here, if it does."""
        ...

    def repeat(self, like: Record, source: str, count: int) -> None:
        """A record like another one, of this report or of an earlier one, but for these two."""
        ...

    def record(self, how: Layout, texts: Sequence[str]) -> None:
        """A record whose innermost elements have these texts."""
        ...


class Repeats:
    """Feeds a parser, but for records whose layout it knows."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._learned = 0
        self._rest = b""
        self._plain = False
        """All goes to the parser: this report is written in another way."""

    def feed(self, chunk: bytes) -> None:
        """Raises what the parser raises."""
        if self._plain:
            self._parser.feed(chunk)
            return
        text, self._rest = self._rest + chunk, b""
        *records, rest = text.split(_END)
        self._records(records)
        if self._plain:
            self._parser.feed(rest)
        elif (begin := rest.find(_BEGIN)) < 0:
            cut = max(0, len(rest) - len(_BEGIN) + 1)  # the beginning of a record may be cut in two
            self._parser.feed(rest[:cut])
            self._rest = rest[cut:]
        elif self._between(rest[:begin]) and len(rest) <= WAITING_LIMIT:
            self._rest = rest[begin:]
        else:
            self._give_up(rest[begin:])

    def close(self) -> None:
        """Feed what waited for more."""
        self._give_up(self._rest)

    def _give_up(self, rest: bytes) -> None:
        self._plain, self._rest = True, b""
        self._parser.feed(rest)

    def _between(self, gap: bytes) -> bool:
        """Whether a record begins after these bytes, if it does."""
        if gap and not gap.isspace():
            self._parser.feed(gap)
        return self._parser.between_records

    def _records(self, texts: list[bytes]) -> None:
        """Each without its end, and with all that stands before it."""
        between = self._parser.between_records
        for number, text in enumerate(texts):
            same, source, count = _parted(text)
            like = _known.get(same) if between else None
            if like is not None and (new := _new(source, count)):
                self._parser.repeat(like, *new)
                continue
            begin = text.find(_BEGIN)
            if begin < 0:
                self._parser.feed(text + _END)
            elif self._between(text[:begin]):
                self._record(text[begin:] + _END, same)
            else:
                self._give_up(_END.join((text[begin:], *texts[number + 1 :], b"")))
                return
            if self._plain:
                self._parser.feed(_END.join((*texts[number + 1 :], b"")))
                return
            between = self._parser.between_records

    def _record(self, raw: bytes, same: Same) -> None:
        found = self._match(raw.decode("ascii")) if raw.isascii() else None
        if found is None:
            self._parser.feed(raw)
            self._plain = not self._parser.between_records
            return
        how, texts = found
        taken = len(self._parser.batch)
        self._parser.record(how, texts)
        if how.repeats and _can_repeat(same) and len(raw) <= KNOWN_SIZE and len(self._parser.batch) > taken:
            if len(_known) >= KNOWN_LIMIT:
                _known.clear()
            _known[same] = self._parser.batch[-1]

    def _match(self, text: str) -> tuple[Layout, tuple[str, ...]] | None:
        """How a record is laid out, and its texts."""
        number = text.count("<")
        for one in _layouts.get(number, ()):
            if found := one.pattern.fullmatch(text):
                return one, found.groups()
        new = layout.of(text) if self._learned < LAYOUT_LIMIT else None
        if new is None:
            return None
        self._learned += 1
        if sum(map(len, _layouts.values())) >= LAYOUTS_LIMIT:
            _layouts.clear()
        _layouts.setdefault(number, []).append(new)
        found = new.pattern.fullmatch(text)
        return None if found is None else (new, found.groups())


def _parted(text: bytes) -> tuple[Same, bytes, bytes]:
    """A record: all of it but address and count, and these two."""
    parts = text.split(b"<", 6)
    if len(parts) < 7:
        return _NOTHING, b"", b""
    before, record, row, source, between, count, after = parts
    return (before, record, row, between, after), source, count


def _can_repeat(same: Same) -> bool:
    """Whether address and count are where they are cut out."""
    before, record, _, between, after = same
    return (
        (not before or before.isspace())
        and record.startswith(b"record>")
        and between.startswith(b"/source_ip>")
        and after.startswith(b"/count>")
    )


def _new(source: bytes, count: bytes) -> tuple[str, int] | None:
    """Address and count; None if a parser might see more in them, or less."""
    if not (source.startswith(_SOURCE) and count.startswith(_COUNT)):
        return None
    try:
        return values.address(source[len(_SOURCE) :].decode("ascii")), values.count(
            count[len(_COUNT) :].decode("ascii")
        )
    except ValueError:
        return None
