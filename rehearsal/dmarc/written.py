"""Aggregate reports and the mails that bring them, as reporters write them."""

import gzip
import io
import zipfile
from dataclasses import dataclass
from email.message import EmailMessage

DOMAIN = "performancewest.net"


@dataclass(frozen=True)
class Day:
    """The time a report covers, and its identifier: Unix seconds, UTC."""

    begin: int
    number: str = "1234"

    @property
    def end(self) -> int:
        return self.begin + 86_399

    @property
    def metadata(self) -> str:
        return (
            "<report_metadata><org_name>google.com</org_name><email>noreply@google.com</email>"
            f"<report_id>{self.number}</report_id>"
            f"<date_range><begin>{self.begin}</begin><end>{self.end}</end></date_range></report_metadata>"
        )


def record(
    source: str = "207.174.124.94",
    count: object = 2,
    disposition: str = "none",
    dkim: str = "pass",
    spf: str = "pass",
    author: str = "performancewest.net",
    extra: str = "",
    signed: bool = True,
    reason: str = "",
) -> str:
    signature = f"<dkim><domain>{author}</domain><selector>send</selector><result>{dkim}</result></dkim>"
    return (
        f"<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated>"
        f"<disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf>{reason}</policy_evaluated></row>"
        f"<identifiers><header_from>{author}</header_from></identifiers><auth_results>"
        f"{signature if signed else ''}"
        f"<spf><domain>{author}</domain><scope>mfrom</scope><result>{spf}</result></spf></auth_results>{extra}</record>"
    )


POLICY = "<policy_published><domain>performancewest.net</domain><p>reject</p><pct>100</pct></policy_published>"


def report(
    day: Day,
    records: str | None = None,
    metadata: str | None = None,
    policy: str = POLICY,
    start: str = '<?xml version="1.0" encoding="UTF-8" ?>\n<feedback>',
    end: str = "</feedback>",
) -> str:
    """Two records, of 2 and of 3 messages, unless others are given."""
    if records is None:
        records = record() + record("198.51.100.7", 3, "reject", "fail", "fail")
    return f"{start}{day.metadata if metadata is None else metadata}{policy}{records}{end}"


def prefixed(text: str, prefix: str) -> str:
    """The same report with its elements under a prefix."""
    body = text.partition("?>")[2].strip()
    body = body.replace("</", "\0").replace("<", f"<{prefix}:").replace("\0", f"</{prefix}:")
    return body.replace(
        f"<{prefix}:feedback>", f'<{prefix}:feedback xmlns:{prefix}="urn:ietf:params:xml:ns:dmarc-2.0">', 1
    )


def zipped(*members: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def packed(text: str | bytes) -> bytes:
    return gzip.compress(text if isinstance(text, bytes) else text.encode(), mtime=0)


def mail(*parts: bytes, kind: str = "application/gzip", sender: str = "noreply@google.com", **fields: str) -> bytes:
    """A mail with these attachments."""
    message = EmailMessage()
    message["From"] = sender
    message["Subject"] = "Report domain: performancewest.net Submitter: google.com Report-ID: 1234"
    message["Message-ID"] = "<1234@google.com>"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("This is an aggregate report.\n")
    main, _, sub = kind.partition("/")
    for number, part in enumerate(parts):
        message.add_attachment(
            part, maintype=main, subtype=sub, filename=f"google.com!performancewest.net!{number}.xml.gz"
        )
    return message.as_bytes()


def bare(kind: str, body: bytes, encoding: str = "7bit") -> bytes:
    """A mail that is one part, written by hand."""
    head = (
        f"From: noreply@google.com\nMIME-Version: 1.0\nContent-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n"
    )
    return head.encode() + body
