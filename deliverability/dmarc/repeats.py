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

KNOWN_LIMIT = 4_096
KNOWN_SIZE = 2_048
"""Bytes: what is longer is read each time, for all that is known stays in memory."""
LAYOUT_LIMIT = 16
"""New ones of one report: each costs some milliseconds."""
LAYOUTS_LIMIT = 256
WAITING_LIMIT = 1 << 18
"""Bytes that wait for the end of a record; no record of a reporter's has so many."""

_known: dict[tuple[bytes, ...], Record] = {}
"""Of all reports, since a reporter's are alike: by what stands before, between and after address and count."""
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
        text, at, between = self._rest + chunk, 0, False
        self._rest = b""
        while (begin := text.find(_BEGIN, at)) >= 0:
            if begin > at and not (gap := text[at:begin]).isspace():
                self._parser.feed(gap)
                between = False
            if not (between or self._parser.between_records):
                self._give_up(text[begin:])
                return
            between = True
            end = text.find(_END, begin) + len(_END)
            if end < len(_END):
                self._wait(text[begin:])
                return
            self._record(text[begin:end])
            at = end
            if self._plain:
                self._parser.feed(text[at:])
                return
        cut = max(at, len(text) - len(_BEGIN) + 1)  # the beginning of a record may be cut in two
        self._parser.feed(text[at:cut])
        self._rest = text[cut:]

    def close(self) -> None:
        """Feed what waited for more."""
        self._give_up(self._rest)

    def _wait(self, rest: bytes) -> None:
        if len(rest) > WAITING_LIMIT:
            self._give_up(rest)
        else:
            self._rest = rest

    def _give_up(self, rest: bytes) -> None:
        self._plain, self._rest = True, b""
        self._parser.feed(rest)

    def _record(self, raw: bytes) -> None:
        before, _, rest = raw.partition(b"<source_ip>")
        source, _, rest = rest.partition(b"</source_ip>")
        between, _, rest = rest.partition(b"<count>")
        count, _, after = rest.partition(b"</count>")
        same = before, between, after
        like = _known.get(same)
        if like is not None and (new := _new(source, count)):
            self._parser.repeat(like, *new)
            return
        found = self._match(raw.decode("ascii")) if raw.isascii() else None
        if found is None:
            self._parser.feed(raw)
            self._plain = not self._parser.between_records
            return
        how, texts = found
        taken = len(self._parser.batch)
        self._parser.record(how, texts)
        if how.repeats and len(raw) <= KNOWN_SIZE and len(self._parser.batch) > taken:
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


def _new(source: bytes, count: bytes) -> tuple[str, int] | None:
    """Address and count; None if a parser might see more in them, or less."""
    try:
        return values.address(source.decode("ascii")), values.count(count.decode("ascii"))
    except ValueError:
        return None
