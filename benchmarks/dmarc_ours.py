"""The ways to read reports that are measured here. Started by dmarc.py, in a process of its own each."""

import email
import zlib
from collections.abc import Iterator
from xml.parsers import expat

from benchmarks import child
from benchmarks.dmarc_corpus import AUTHSERV_ID, NOW
from blocks.dmarc_store import DmarcStore, Entry
from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.failure import FailureReport
from deliverability.dmarc.intake import Added, Origin, Outcome, Rules, take
from deliverability.dmarc.limits import MEGABYTE
from deliverability.dmarc.tls import TlsReport
from rehearsal.dmarc.written import DOMAIN

RULES = Rules(now=NOW, ours=(DOMAIN,), authserv_ids=(AUTHSERV_ID,))


class Counted:
    """A store that only counts."""

    records = 0

    def add(self, reading: Reading, digest: str, origin: Origin) -> Added:
        self.records += sum(len(batch) for batch in reading.batches())
        return Added.NEW

    def add_tls(self, report: TlsReport, digest: str, origin: Origin) -> Added:
        raise NotImplementedError

    def add_failure(self, report: FailureReport, origin: Origin) -> Added:
        raise NotImplementedError


def limit(mails: Iterator[bytes]) -> int:
    """What no reader of these mails in Python does without: MIME, gzip, and expat with nothing to call."""
    for raw in mails:
        for part in email.message_from_bytes(raw).walk():
            data = part.get_payload(decode=True)
            if isinstance(data, bytes) and data.startswith(b"\x1f\x8b"):
                _expat(data)
    return 0


def _expat(data: bytes) -> None:
    parser, member = expat.ParserCreate(), zlib.decompressobj(wbits=31)
    while not member.eof:
        parser.Parse(member.decompress(data, MEGABYTE))
        data = member.unconsumed_tail
    parser.Parse(b"", True)


def parse(mails: Iterator[bytes]) -> int:
    counted = Counted()
    for raw in mails:
        assert take(raw, counted, RULES).outcome is Outcome.REPORT
    return counted.records


def store(mails: Iterator[bytes], url: str) -> int:
    with DmarcStore(url) as kept:
        for raw in mails:
            assert take(raw, kept, RULES).outcome is Outcome.REPORT
    return 0


def daily(mails: Iterator[bytes], url: str) -> int:
    """All that the daily run does with a mail: its reports, the mail itself, and its entry in the ledger."""
    with DmarcStore(url) as kept:
        for uid, raw in enumerate(mails, 1):
            result = take(raw, kept, RULES)
            assert result.outcome is Outcome.REPORT, result.reason
            kept.enter("bench", 1, Entry(uid, result.message_id, result.sha256, result.outcome), raw)
    return 0


if __name__ == "__main__":
    child.run({"nothing": child.nothing, "limit": limit, "parse": parse, "store": store, "daily": daily})
