"""Most records of a report are laid out like one before, and most of those differ in address and count alone.

Of a record whose layout is known the texts are taken: if only address and count are new, it means what the one before
meant; if not, it is worked out as if the parser had read its elements. Every other record goes through the parser.
"""

from collections.abc import Sequence
from typing import Protocol

from deliverability.dmarc import layout
from deliverability.dmarc.layout import Layout, Step
from deliverability.dmarc.report import Record

_BEGIN, _END = b"<record>", b"</record>"

KNOWN_LIMIT = 4_096
LAYOUT_LIMIT = 16
"""Of one report: each costs some milliseconds."""
WAITING_LIMIT = 1 << 18
"""Bytes that wait for the end of a record; no record of a reporter's has so many."""


class Parser(Protocol):
    """What reads a report."""

    batch: list[Record]

    def feed(self, chunk: bytes) -> None: ...

    @property
    def between_records(self) -> bool:
        """Whether the next record begins here, if it does."""
        ...

    def repeat(self, like: Record, source: str, count: str) -> None:
        """A record like another one, but for these two."""
        ...

    def record(self, steps: Sequence[Step], texts: Sequence[str]) -> None:
        """A record whose elements have these texts."""
        ...


class Repeats:
    """Feeds a parser, but for records whose layout it knows."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._layouts: dict[int, list[Layout]] = {}
        """By the number of tags, in which nearly all of them differ."""
        self._learned = 0
        self._known: dict[tuple[object, ...], Record] = {}
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
        if raw.isascii():
            text = raw.decode("ascii")
            for one in self._layouts.get(text.count("<"), ()):
                if found := one.pattern.fullmatch(text):
                    self._laid_out(one, found.groups())
                    return
            if (new := self._learn(text)) and (found := new.pattern.fullmatch(text)):
                self._laid_out(new, found.groups())
                return
        self._parser.feed(raw)
        self._plain = not self._parser.between_records

    def _learn(self, text: str) -> Layout | None:
        new = layout.of(text) if self._learned < LAYOUT_LIMIT else None
        if new is not None:
            self._learned += 1
            self._layouts.setdefault(text.count("<"), []).append(new)
        return new

    def _laid_out(self, how: Layout, texts: tuple[str, ...]) -> None:
        rest = how, texts[: how.source], texts[how.source + 1 : how.count], texts[how.count + 1 :]
        like = self._known.get(rest)
        if like is not None:
            self._parser.repeat(like, texts[how.source].strip(), texts[how.count].strip())
            return
        before = len(self._parser.batch)
        self._parser.record(how.steps, texts)
        if len(self._parser.batch) > before and len(self._known) < KNOWN_LIMIT:
            self._known[rest] = self._parser.batch[-1]
