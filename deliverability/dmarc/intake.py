"""What becomes of a mail to the report address: every report in it is added once, and nothing is dropped."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from email.message import Message
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from deliverability.authentication import Signature
from deliverability.dmarc import failure, mail, tls, trust
from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.failure import FailureReport
from deliverability.dmarc.limits import LIMITS, MEGABYTE, Limits
from deliverability.dmarc.tls import TlsReport
from deliverability.dmarc.unpack import Document, digest, documents, packed
from deliverability.dmarc.values import line
from deliverability.errors import BadReport, LookupFailed


class Added(StrEnum):
    """What became of a report."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    """Another report has the same sender, name, identifier and time; that one stands."""


class Outcome(StrEnum):
    """What became of a mail. Of several, the first one here."""

    QUARANTINED = "quarantined"
    """It has a report that cannot be used; the mail is kept."""
    CONFLICT = "conflict"
    REPORT = "report"
    TLS = "tls"
    FAILURE = "failure"
    DUPLICATE = "duplicate"
    EMPTY = "empty"
    OTHER = "other"
    """No report; the mail is kept."""


@dataclass(frozen=True)
class Origin:
    """Where a report came from: the domain that is proved to have sent it, "" if none is, and its mail's sha256."""

    sender: str
    mail: str


class Store(Protocol):
    """Where reports go. Each is added whole or not at all, and once."""

    def add(self, reading: Reading, digest: str, origin: Origin) -> Added: ...

    def add_tls(self, report: TlsReport, digest: str, origin: Origin) -> Added: ...

    def add_failure(self, report: FailureReport, origin: Origin) -> Added: ...


@dataclass(frozen=True)
class Rules:
    """Which reports are taken, and what proves a sender."""

    now: float
    """Unix time."""
    ours: Collection[str] | None = None
    """Domains, with all below them; None: any."""
    authserv_ids: Collection[str] = ()
    """Names under which our own MX writes Authentication-Results (RFC 8601)."""
    signatures: Callable[[bytes], tuple[Signature, ...]] = lambda raw: ()
    limits: Limits = LIMITS


@dataclass
class Result:
    """What became of one mail, and of what was in it."""

    outcome: Outcome = Outcome.OTHER
    reasons: list[str] = field(default_factory=list)
    sha256: str = ""
    message_id: str = ""
    dropped: Counter[str] = field(default_factory=Counter)
    """Records that could not be used, by what is wrong with them."""
    unpacked: int = 0
    """Bytes of all documents so far."""

    @property
    def reason(self) -> str:
        return line("; ".join(self.reasons), 1000)


def take(raw: bytes, store: Store, rules: Rules) -> Result:
    """Add whatever a mail reports. Raises what the store raises; whatever is wrong with the mail is in the result."""
    result = Result(sha256=sha256(raw).hexdigest())
    if len(raw) > rules.limits.mail:
        return _quarantined(result, f"over {rules.limits.mail >> 20} MB")
    try:
        message = mail.parse(raw, rules.limits)
    except BadReport as error:
        return _quarantined(result, error.fact)
    result.message_id = line(message.get("Message-ID", ""), 998)
    found: list[Outcome] = []
    try:
        origin = Origin(_sender(message, raw, rules), result.sha256)
        if mail.is_failure_report(message):
            found.append(_outcome(store.add_failure(failure.parse(message), origin), Outcome.FAILURE))
        else:
            for one in mail.reports(message, rules.limits):
                found.append(_document(one, store, origin, rules, result))
    except BadReport as error:
        result.reasons.append(error.fact)
        found.append(Outcome.QUARANTINED)
    if not found:
        found.append(Outcome.EMPTY if mail.is_empty(message) else Outcome.OTHER)
    result.outcome = min(found, key=list(Outcome).index)
    return result


def take_file(content: bytes, store: Store, rules: Rules) -> Result:
    """The same for bytes that are a mail, or a report that came in none."""
    if not (
        packed(content)
        or content[:1] in (b"<", b"{")
        or content[:3] == BOM_UTF8
        or content[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
    ):
        return take(content, store, rules)
    result = Result(sha256=sha256(content).hexdigest())
    try:
        found = [
            _document(one, store, Origin("", result.sha256), rules, result) for one in documents(content, rules.limits)
        ]
    except BadReport as error:
        return _quarantined(result, error.fact)
    result.outcome = min(found, key=list(Outcome).index, default=Outcome.OTHER)
    return result


def _document(one: Document | BadReport, store: Store, origin: Origin, rules: Rules, result: Result) -> Outcome:
    try:
        if isinstance(one, BadReport):
            raise one
        if one.kind == "other":
            return Outcome.OTHER
        if result.unpacked > rules.limits.inflated:
            raise BadReport(f"over {rules.limits.inflated // MEGABYTE} MB unpacked in one mail")
        name, size = digest(one)
        result.unpacked += size
        if one.kind == "json":
            return _outcome(store.add_tls(tls.parse(one), name, origin), Outcome.TLS)
        reading = Reading(one, rules.now, rules.ours, rules.limits)
        added = store.add(reading, name, origin)
        result.dropped += reading.dropped
        if added is Added.CONFLICT:
            result.reasons.append("another report has the same sender, name, identifier and time")
        return _outcome(added, Outcome.REPORT)
    except BadReport as error:
        result.reasons.append(error.fact)
        return Outcome.QUARANTINED


def _outcome(added: Added, new: Outcome) -> Outcome:
    return {Added.NEW: new, Added.DUPLICATE: Outcome.DUPLICATE, Added.CONFLICT: Outcome.CONFLICT}[added]


def _sender(message: Message, raw: bytes, rules: Rules) -> str:
    try:
        return trust.sender(message, rules.authserv_ids, lambda: rules.signatures(raw))
    except LookupFailed:
        return ""  # not proved: it counts, and alerts nobody


def _quarantined(result: Result, reason: str) -> Result:
    result.outcome = Outcome.QUARANTINED
    result.reasons.append(reason)
    return result
