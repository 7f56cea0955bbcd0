"""Read one aggregate report, piece by piece: a hundred thousand records take no more memory than a thousand.

Expat's callbacks rather than a tree: a tree of such a report takes 600 to 900 MB. RFC 7489 appendix C, RFC 9990.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import Protocol
from xml.parsers import expat

from deliverability.dmarc import values
from deliverability.dmarc.encoding import utf8
from deliverability.dmarc.grammar import FEEDBACK, FIELDS, POLICY, Node
from deliverability.dmarc.heading import Acceptance, header
from deliverability.dmarc.layout import Layout
from deliverability.dmarc.limits import LIMITS, Limits
from deliverability.dmarc.mending import mended
from deliverability.dmarc.repeats import Repeats
from deliverability.dmarc.report import Dkim, Header, Reason, Record, Spf
from deliverability.errors import BadReport

_DIFFERENT_NAMES = 2_000
_WRAPPERS = 2
"""Elements around the report itself that are passed through, such as a schema's."""
_OUTSIDE = Node({"feedback": FEEDBACK})


class Document(Protocol):
    """Bytes that may be read more than once."""

    def chunks(self) -> Iterator[bytes]:
        """The bytes from the beginning, a megabyte or so each: old expats take small pieces of a long tag badly."""
        ...


class Reading:
    """One report. `header` is known when the first batch is there; the counters, when the last one was taken."""

    def __init__(
        self,
        document: Document,
        now: float,
        ours: Collection[str] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        """`now` is Unix time. `ours` are the domains that a report may be about, with all below them; None: any."""
        self.dropped: Counter[str] = Counter()
        """Records that cannot be used, by what is wrong with them."""
        self.records = 0
        self.messages = 0
        self.mended = False
        """Whether it is XML only after some mending."""
        self._header: Header | None = None
        self._document = document
        self._rules = Acceptance(None if ours is None else frozenset(ours), limits, now)

    @property
    def header(self) -> Header:
        assert self._header is not None, "known with the first batch, or after the last"
        return self._header

    def batches(self) -> Iterator[list[Record]]:
        """All records that can be used. Raises BadReport, whose fact says why, at whatever point that shows."""
        given = 0
        parser = _Parser(self._rules)
        try:
            for batch in self._read(parser):
                given += len(batch)
                yield batch
        except expat.ExpatError:
            # Expat cannot go on: the document is read again, mended, and what was given is passed over.
            self.mended = True
            parser = _Parser(self._rules)
            try:
                for batch in self._read(parser):
                    fresh = batch[given:]
                    given -= len(batch) - len(fresh)
                    if fresh:
                        yield fresh
            except expat.ExpatError as error:
                raise BadReport(f"it is no XML: {error}") from None
        self.dropped, self.records, self.messages = parser.dropped, parser.records, parser.messages

    def _read(self, parser: "_Parser") -> Iterator[list[Record]]:
        text = utf8(self._document.chunks())
        feeder = Repeats(parser)
        try:
            for chunk in mended(text) if self.mended else text:
                feeder.feed(chunk)
                self._header = parser.header
                if self._header and parser.batch:
                    yield parser.take()
                if parser.complete:
                    break
        except BadReport:
            if not parser.refused:
                feeder.close()
            if not parser.complete:  # else only what comes after the report is bad
                raise
        feeder.close()
        parser.close()
        self._header = parser.header
        if parser.batch:
            yield parser.take()


class _Parser:
    def __init__(self, rules: Acceptance) -> None:
        self.header: Header | None = None
        self.batch: list[Record] = []
        self.complete = False
        self.refused = False
        """Whether what was fed last was bad: nothing more can be fed."""
        self.dropped: Counter[str] = Counter()
        self.records = 0
        self.messages = 0
        self._rules = rules
        self._limits = rules.limits
        self._is_ours = lru_cache(maxsize=1 << 10)(rules.is_ours)
        self._ended = 0
        self._prefix = ""
        self._names: dict[str, str] = {}
        self._stack: list[Node] = [_OUTSIDE]
        self._skipped = 0
        self._unknown = 0
        self._in_section = False
        self._wrappers = 0
        self._fed = 0
        self._tags = 0
        self._texts: list[str] = []
        self._fields: dict[str, str] = {}
        self._metadata: dict[str, str] | None = None
        self._policy: dict[str, str] | None = None
        self._dkim: list[Dkim] = []
        self._spf: list[Spf] = []
        self._reasons: list[Reason] = []
        self._at_end: dict[str, Callable[[], None]] = {
            "reason": self._end_reason,
            "dkim": self._end_dkim,
            "spf": self._end_spf,
            "record": self._end_record,
            "metadata": self._end_metadata,
            "policy": self._end_policy,
            "feedback": self._end_feedback,
        }
        self._expat = expat.ParserCreate("utf-8")
        self._expat.buffer_text = True
        self._expat.buffer_size = 1 << 15
        self._expat.StartDoctypeDeclHandler = _refuse_doctype
        self._expat.CharacterDataHandler = self._texts.append  # no Python for each text: that is a third of the time
        self._expat.StartCdataSectionHandler = self._start_section
        self._expat.EndCdataSectionHandler = self._end_section
        self._read()

    def _start_section(self) -> None:
        self._in_section = True

    def _end_section(self) -> None:
        self._in_section = False

    def _read(self) -> None:
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end

    def feed(self, chunk: bytes) -> None:
        """Raises BadReport, expat.ExpatError."""
        if self.complete:
            return
        self.refused = True
        self._fed += len(chunk)
        self._tags += chunk.count(b"<")
        if self._tags > self._limits.tags:
            raise BadReport(f"over {self._limits.tags} tags")
        try:
            self._expat.Parse(chunk)
        except expat.ExpatError:
            if not self.complete:
                raise
        if not self.complete and self._fed - self._expat.CurrentByteIndex > self._limits.token:
            raise BadReport(f"a tag of over {self._limits.token} bytes")
        if len(self._texts) > 1:
            self._joined()
        self.refused = False

    @property
    def between_records(self) -> bool:
        ended = self._expat.CurrentByteIndex == self._fed  # else it waits for the end of a tag or of a comment
        return ended and len(self._stack) == 2 and not self._skipped and not self._in_section

    def repeat(self, like: Record, source: str, count: int) -> None:
        if self._is_ours(like.header_from):
            self.messages += count
            self.batch.append(Record._make((source, count, *like[2:])))
        else:
            self.dropped["header_from"] += 1
        self._count_record()

    def record(self, how: Layout, texts: Sequence[str]) -> None:
        stripped = [*map(str.strip, texts), ""]  # the last one is what is MISSING
        self._dkim = [
            _dkim(stripped[domain], stripped[selector], stripped[result]) for domain, selector, result in how.dkim
        ]
        self._spf = [_spf(stripped[domain], stripped[scope], stripped[result]) for domain, scope, result in how.spf]
        self._reasons = [_reason(stripped[kind], stripped[comment]) for kind, comment in how.reasons]
        self._add_record(*[stripped[number] for number in how.fields])

    def close(self) -> None:
        """Raises BadReport, expat.ExpatError if the report is not complete."""
        if not self.complete:
            self._expat.Parse(b"", True)
            raise BadReport("it has no <feedback>")

    def take(self) -> list[Record]:
        batch, self.batch = self.batch, []
        self.records += len(batch)
        return batch

    def _start(self, name: str, attributes: object) -> None:
        self._texts.clear()
        stack = self._stack
        node = stack[-1].get(name)
        if node is None:
            node = self._other(name)
        if node is not None:
            stack.append(node)

    def _end(self, name: str) -> None:
        node = self._stack.pop()
        if node.keep:
            texts = self._texts
            self._fields[node.keep] = texts[0].strip() if len(texts) == 1 else self._joined()
        elif node.at_end:
            self._at_end[node.at_end]()
        elif not self._stack:
            self._stack.append(node)  # a wrapper's end

    def _other(self, name: str) -> Node | None:
        """An element whose name is written in another way, or that is none of the report's."""
        outside = len(self._stack) == 1
        local = self._names.get(name) or self._local(name, outside)
        node = self._stack[-1].get(local)
        if node is not None or not outside:
            if node is None:
                self._skip()
            return node
        self._wrappers += 1
        if self._wrappers > _WRAPPERS:
            raise BadReport(f"it is no report: it begins with <{name[:80]}>")
        return None

    def _local(self, name: str, outside: bool) -> str:
        """The name without the report's own prefix, in lower case; elements with another one are not the report's."""
        prefix, _, local = name.rpartition(":")
        local = local.lower()
        if outside and local == "feedback":
            self._prefix = prefix
        if len(self._names) > _DIFFERENT_NAMES:
            raise BadReport(f"over {_DIFFERENT_NAMES} different elements")
        self._names[name] = local if prefix == self._prefix else name
        return self._names[name]

    def _skip(self) -> None:
        """Pass over an element and all that is in it."""
        self._skipped = 1
        self._count_unknown()
        self._expat.StartElementHandler = self._skip_start
        self._expat.EndElementHandler = self._skip_end

    def _skip_start(self, name: str, attributes: object) -> None:
        self._texts.clear()
        self._skipped += 1
        self._count_unknown()
        if self._skipped > self._limits.depth:
            raise BadReport(f"elements within elements, over {self._limits.depth} deep")

    def _skip_end(self, name: str) -> None:
        self._skipped -= 1
        if not self._skipped:
            self._read()

    def _count_unknown(self) -> None:
        self._unknown += 1
        if self._unknown > self._limits.unknown:
            raise BadReport(f"over {self._limits.unknown} elements that are none of a report's")

    def _joined(self) -> str:
        """The text of an element, which expat gives in pieces of its buffer's size."""
        text = "".join(self._texts)
        if len(text) > self._limits.text:
            raise BadReport(f"an element with over {self._limits.text} characters")
        return text.strip()

    def _end_reason(self) -> None:
        take = self._fields.pop
        self._reasons.append(_reason(take("reason.type", ""), take("reason.comment", "")))

    def _end_dkim(self) -> None:
        take = self._fields.pop
        self._dkim.append(_dkim(take("dkim.domain", ""), take("dkim.selector", ""), take("dkim.result", "")))

    def _end_spf(self) -> None:
        take = self._fields.pop
        self._spf.append(_spf(take("spf.domain", ""), take("spf.scope", ""), take("spf.result", "")))

    def _end_record(self) -> None:
        fields, self._fields = self._fields, {}
        self._add_record(*[fields.get(name, "") for name in FIELDS])

    def _add_record(self, *fields: str) -> None:
        try:
            record = self._record(*fields)
        except ValueError as field:
            self.dropped[str(field)] += 1
        else:
            self.messages += record.messages
            self.batch.append(record)
        self._dkim, self._spf, self._reasons = [], [], []
        self._count_record()

    def _count_record(self) -> None:
        self._ended += 1
        if self._ended > self._limits.records:
            raise BadReport(f"over {self._limits.records} records")
        if self.messages > self._limits.messages:
            raise BadReport(f"over {self._limits.messages} messages")

    def _record(
        self,
        source: str,
        count: str,
        disposition: str,
        dkim: str,
        spf: str,
        author: str,
        envelope_from: str,
        envelope_to: str,
    ) -> Record:
        """Raises ValueError with the name of the field that makes it useless."""
        author = author.lower().rstrip(".")[:253]
        if not self._is_ours(author):
            raise ValueError("header_from")
        return Record(
            values.address(source),
            values.count(count),
            disposition.lower()[:64],
            dkim.lower() == "pass",
            spf.lower() == "pass",
            author,
            envelope_from.lower()[:253],
            envelope_to.lower()[:253],
            tuple(self._dkim),
            tuple(self._spf),
            tuple(self._reasons),
        )

    def _end_metadata(self) -> None:
        if self._metadata is None:  # of two, the first one
            self._metadata = self._fields
        self._fields = {}
        self._make_header()

    def _end_policy(self) -> None:
        if self._policy is None:
            self._policy = {name: self._fields.get(f"policy.{name}", "").lower()[:253] for name in POLICY}
        self._fields = {}
        self._make_header()

    def _make_header(self) -> None:
        if self.header is None and self._metadata is not None and self._policy is not None:
            self.header = header(self._metadata, self._policy, self._rules)

    def _end_feedback(self) -> None:
        if self.header is None:
            missing = "report_metadata" if self._metadata is None else "policy_published"
            raise BadReport(f"it has no {missing}")
        self.complete = True
        # A second report inside a wrapper is no part of this one.
        self._expat.StartElementHandler = self._expat.EndElementHandler = None
        self._expat.CharacterDataHandler = None


def _dkim(domain: str, selector: str, result: str) -> Dkim:
    return Dkim(domain.lower()[:253], selector[:253], result.lower()[:64])


def _spf(domain: str, scope: str, result: str) -> Spf:
    return Spf(domain.lower()[:253], scope.lower()[:64], result.lower()[:64])


def _reason(kind: str, comment: str) -> Reason:
    return Reason(kind.lower()[:64], comment[:255])


def _refuse_doctype(*declaration: object) -> None:
    # Entities and default attributes blow up (GHSA-m47j-wp78-fqjg); no reporter needs a DOCTYPE.
    raise BadReport("it has a DOCTYPE, which no report needs and attacks are made of")
