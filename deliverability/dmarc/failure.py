"""Failure reports (RFC 6591) and complaints (RFC 5965): one message that failed, or that somebody called spam."""

from dataclasses import dataclass
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime

from deliverability.dmarc import values
from deliverability.errors import BadReport


@dataclass(frozen=True)
class FailureReport:
    kind: str
    """auth-failure (RFC 6591), or abuse and others (RFC 5965)."""
    domain: str
    """Ours, whose name the message bore."""
    source_ip: str
    """"" if it is missing or no address."""
    failure: str
    """dmarc, dkim, spf, ...; "" for complaints."""
    result: str
    """delivered, spam, policy, reject, other, or ""."""
    arrived: int
    """Unix seconds, UTC; 0 if it is not said."""


def parse(message: Message) -> FailureReport:
    """Raises BadReport."""
    fields = _fields(message)
    kind = _field(fields, "Feedback-Type").lower()
    if not kind:
        raise BadReport("a feedback report without a Feedback-Type")
    try:
        source = values.address(_field(fields, "Source-IP"))
    except ValueError:
        source = ""
    try:
        arrived = int(
            parsedate_to_datetime(_field(fields, "Arrival-Date") or _field(fields, "Received-Date")).timestamp()
        )
    except (ValueError, TypeError, OverflowError):
        arrived = 0
    domain = _field(fields, "Reported-Domain") or parseaddr(_field(fields, "Original-Mail-From"))[1].rpartition("@")[2]
    return FailureReport(
        kind=kind,
        domain=domain.lower()[:253],
        source_ip=source,
        failure=_field(fields, "Auth-Failure").lower(),
        result=_field(fields, "Delivery-Result").lower(),
        arrived=arrived,
    )


def _fields(message: Message) -> Message:
    """The fields of the feedback report, which the parser takes for a message within the message."""
    for part in message.walk():
        if part.get_content_type() == "message/feedback-report":
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                return inner[0]
    raise BadReport("no feedback report")


def _field(fields: Message, name: str) -> str:
    return str(fields.get(name, "")).strip()[:255]
