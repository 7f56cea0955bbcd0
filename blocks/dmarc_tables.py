"""The tables of DMARC reports, on SQLite and on PostgreSQL. The runbook's SQL runs on the first two.

A report is the same one if its document is (`digest`). Another document with the same sender, name, identifier, domain
and time is a conflict, and the first one stands: identifiers alone are used again (Google and Mimecast do, for other
days), and a report from an unproved sender must not keep out the real one.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import INET, JSONB

_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER
_ADDRESS = String(45).with_variant(INET(), "postgresql")
_JSON = JSON().with_variant(JSONB(), "postgresql")
_MOMENT = DateTime(timezone=True)

METADATA = MetaData()

REPORT = Table(
    "dmarc_report",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("sender", String(253), nullable=False, comment="Domain that is proved to have sent it, or ''"),
    Column("org_name", String(255), nullable=False),
    Column("email", String(320), nullable=False),
    Column("report_id", String(255), nullable=False, comment="The reporter's own identifier"),
    Column("domain", String(253), nullable=False),
    Column("date_begin", _MOMENT, nullable=False),
    Column("date_end", _MOMENT, nullable=False),
    Column("policy", _JSON, nullable=False, comment="As the reporter found it published"),
    Column("error", String(1000), nullable=False),
    Column("generator", String(255), nullable=False),
    Column("digest", String(64), nullable=False, unique=True, comment="sha256 of the unpacked document"),
    Column("mail", String(64), nullable=False, comment="sha256 of the mail it came in: dmarc_raw"),
    Column("records", Integer, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("dropped", _JSON, nullable=False, comment="Records that could not be used, by what is wrong with them"),
    Column("received", _MOMENT, nullable=False),
    UniqueConstraint("sender", "org_name", "report_id", "domain", "date_begin", "date_end"),
    Index("dmarc_report_time", "date_end", "date_begin"),
)

RECORD = Table(
    "dmarc_record",
    METADATA,
    Column("report_id", _ID, ForeignKey("dmarc_report.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, comment="One report may have an address in several records"),
    Column("source_ip", _ADDRESS, nullable=False),
    Column("msg_count", BigInteger, nullable=False),
    Column("disposition", String(64), nullable=False),
    Column("dkim_aligned", Boolean, nullable=False),
    Column("spf_aligned", Boolean, nullable=False),
    Column("dmarc_pass", Boolean, nullable=False),
    Column("header_from", String(253), nullable=False),
    Column("envelope_from", String(253), nullable=False),
    Column("envelope_to", String(253), nullable=False),
    Column("dkim", _JSON, nullable=False, comment="[[domain, selector, result], ...]"),
    Column("spf", _JSON, nullable=False, comment="[[domain, scope, result], ...]"),
    Column("reasons", _JSON, nullable=False, comment="[[type, comment], ...]"),
)

MAIL = Table(
    "dmarc_mail",
    METADATA,
    Column("mailbox", String(255), primary_key=True),
    Column("uidvalidity", BigInteger, primary_key=True, autoincrement=False),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("message_id", String(998), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("handled", _MOMENT, nullable=False),
)

RAW = Table(
    "dmarc_raw",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("mail", LargeBinary, nullable=False, comment="zlib"),
)

TLS = Table(
    "tls_report",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("mail", String(64), nullable=False, comment="sha256 of the mail it came in: dmarc_raw"),
    Column("sender", String(253), nullable=False),
    Column("org_name", String(255), nullable=False),
    Column("report_id", String(255), nullable=False),
    Column("domain", String(253), nullable=False),
    Column("date_begin", _MOMENT, nullable=False),
    Column("date_end", _MOMENT, nullable=False),
    Column("policy_type", String(64), nullable=False),
    Column("successful", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("failures", _JSON, nullable=False),
)

FAILURE = Table(
    "dmarc_failure",
    METADATA,
    Column("digest", String(64), primary_key=True, comment="sha256 of the mail"),
    Column("sender", String(253), nullable=False),
    Column("kind", String(255), nullable=False),
    Column("domain", String(253), nullable=False),
    Column("source_ip", String(45), nullable=False),
    Column("failure", String(255), nullable=False),
    Column("result", String(255), nullable=False),
    Column("arrived", _MOMENT),
)

ALERT = Table(
    "dmarc_alert",
    METADATA,
    Column("fingerprint", String(255), primary_key=True),
    Column("text", String(1000), nullable=False),
    Column("since", _MOMENT, nullable=False),
    comment="What a person was told, and is not over",
)

POINTER = Table(
    "dmarc_pointer",
    METADATA,
    Column("source", String(45), primary_key=True),
    Column("name", String(253), nullable=False),
    Column("asked", _MOMENT, nullable=False),
)
