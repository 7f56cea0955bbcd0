"""Reports of one day, and what is read in them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.failure import FailureReport
from deliverability.dmarc.intake import Added, Origin, Result, Rules, take, take_file
from deliverability.dmarc.report import Header, Record
from deliverability.dmarc.tls import TlsReport
from rehearsal.dmarc import written
from rehearsal.dmarc.written import POLICY, Day, bare, mail, packed, prefixed, record, zipped

__all__ = ["POLICY", "bare", "mail", "packed", "prefixed", "record", "zipped"]

NOW = 1_782_300_000.0
"""2026-06-24, some hours after the reports' day ended."""

DAY = Day(1_782_172_800)
BEGIN, END, METADATA = DAY.begin, DAY.end, DAY.metadata


def report(records: str | None = None, **other: Any) -> str:
    """Two records, of 2 and of 3 messages, unless others are given."""
    return written.report(DAY, records, **other)


@dataclass
class Kept:
    """A store in memory: what was added whole."""

    headers: list[Header] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    tls: list[TlsReport] = field(default_factory=list)
    failures: list[FailureReport] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)

    def add(self, reading: Reading, digest: str, origin: Origin) -> Added:
        if digest in self.digests:
            return Added.DUPLICATE
        found = [one for batch in reading.batches() for one in batch]
        self.digests.add(digest)
        self.readings.append(reading)
        self.headers.append(reading.header)
        self.records += found
        self.origins.append(origin)
        return Added.NEW

    def add_tls(self, report: TlsReport, digest: str, origin: Origin) -> Added:
        self.tls.append(report)
        return Added.NEW

    def add_failure(self, report: FailureReport, origin: Origin) -> Added:
        self.failures.append(report)
        return Added.NEW

    @property
    def messages(self) -> int:
        return sum(one.messages for one in self.records)


def taken(raw: bytes, rules: Rules | None = None) -> tuple[Result, Kept]:
    """What becomes of a mail."""
    kept = Kept()
    return take(raw, kept, rules or Rules(now=NOW)), kept


def read(data: bytes, rules: Rules | None = None) -> tuple[Result, Kept]:
    """What becomes of a file."""
    kept = Kept()
    return take_file(data, kept, rules or Rules(now=NOW)), kept


class Bytes:
    """A document that is read in pieces of a size."""

    def __init__(self, data: bytes, size: int = 1 << 20) -> None:
        self._data = data
        self._size = size

    def chunks(self) -> Iterator[bytes]:
        yield from (self._data[at : at + self._size] for at in range(0, len(self._data), self._size))


def counts(records: Iterable[Record]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in records:
        found[one.source_ip] = found.get(one.source_ip, 0) + one.messages
    return found
