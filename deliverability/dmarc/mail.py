"""What a mail to the report address carries, found by its bytes: nothing a reporter says about them can be trusted.

RFC 7489 section 7.2.1.1, RFC 9990 section 4 (aggregate), RFC 8460 section 5 (TLS), RFC 6591 and 5965 (failure).
"""

import base64
import binascii
import email
import re
from collections.abc import Iterator
from email.message import Message
from email.policy import Compat32

from deliverability.dmarc.limits import LIMITS, Limits
from deliverability.dmarc.unpack import Document, documents, packed
from deliverability.errors import BadReport

_BASE64 = re.compile(rb"\s*(?:H4sI|UEsD|UEsF|PD94|PGZl)[A-Za-z0-9+/=\s]*")
"""Base64 of gzip, zip, <?xml and <fe: a mailer forgot to say so (Trustwave writes `ContentType:`)."""
_XML = re.compile(rb"<\?xml|<(?:[A-Za-z0-9_.-]{1,40}:)?feedback[\s>]", re.IGNORECASE)
_REPORT = re.compile(r"<(?:[a-z0-9_.-]{1,40}:)?(?:feedback|report_metadata)[\s>]", re.IGNORECASE)

_BOUNDARY = re.compile(rb'[Bb]oundary="([0-9A-Za-z=_.+:/-]{16,70})"')
_KNOWN_BOUNDARY = b"=_one-boundary-for-all"


class _Bounded(Compat32):
    """Python takes quadratic time for the parameters of a field: of one that is too long, none are left."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value if len(value) <= LIMITS.field else ""


def parse(raw: bytes, limits: Limits = LIMITS) -> Message:
    """Raises BadReport for a mail that Python's own parser would not bear, or not soon."""
    if raw.count(b"\n") > limits.lines:
        raise BadReport(f"over {limits.lines} lines in one mail")
    text = raw.lower()
    multiparts = text.count(b"boundary") + text.count(b"message/")
    if multiparts > limits.boundaries:
        raise BadReport(f"over {limits.boundaries} multiparts and messages within one mail")
    return email.message_from_bytes(_with_known_boundary(raw) if multiparts == 1 else raw, policy=_Bounded())


def _with_known_boundary(raw: bytes) -> bytes:
    """The same mail with another boundary: Python compiles a regular expression for each new one, which takes half as
    long as all the rest of a small mail. One that stands anywhere but in its delimiters is left alone."""
    found = _BOUNDARY.search(raw)
    if found is None or _KNOWN_BOUNDARY in raw:
        return raw
    own = found[1]
    delimiters = sum(raw.count(b"\n--" + own + end) for end in (b"\n", b"\r\n", b"--\n", b"--\r\n"))
    return raw.replace(own, _KNOWN_BOUNDARY) if raw.count(own) == delimiters + 1 else raw


def reports(message: Message, limits: Limits = LIMITS) -> Iterator[Document | BadReport]:
    """Every document in a mail that may be an aggregate or TLS report; what cannot be unpacked is its error.

    Lazy: a document is unpacked when it is read.
    """
    found = 0
    for data in _payloads(message, limits):
        try:
            for document in _candidates(data, limits):
                found += 1
                if found > limits.documents:
                    yield BadReport(f"over {limits.documents} documents in one mail")
                    return
                yield document
        except BadReport as error:
            yield error


def _candidates(data: bytes, limits: Limits) -> Iterator[Document]:
    if _BASE64.fullmatch(data):
        try:
            data = base64.b64decode(data)
        except binascii.Error as error:
            raise BadReport(f"damaged base64: {error}") from None
    if packed(data):
        # Whatever is packed was meant as a report: if it is none, that is told.
        yield from documents(data, limits)
        return
    for document in documents(data, limits):
        if document.kind == "json" or (document.kind == "xml" and _looks_like_a_report(document)):
            yield document
        elif start := _XML.search(data):
            yield from documents(data[start.start() :], limits)


def _looks_like_a_report(document: Document) -> bool:
    return bool(_REPORT.search(document.head.replace(b"\0", b"").decode("latin-1")))


def _payloads(message: Message, limits: Limits) -> Iterator[bytes]:
    """The decoded bytes of every leaf, in messages within the message too."""
    for count, part in enumerate(message.walk()):
        if count >= limits.parts:
            raise BadReport(f"over {limits.parts} parts in one mail")
        if part.is_multipart():
            continue
        data = part.get_payload(decode=True)
        if isinstance(data, bytes) and data.strip():
            yield data


def is_failure_report(message: Message) -> bool:
    """A failure or abuse report (RFC 5965): what it carries inside is somebody's mail, no report."""
    return any(part.get_content_type() == "message/feedback-report" for part in message.walk())


def is_empty(message: Message) -> bool:
    """Whether a mail announces a report and carries none."""
    return all(data.strip().lower() in (b"unused", b"") for data in _payloads(message, LIMITS))
