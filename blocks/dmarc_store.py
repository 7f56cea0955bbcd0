"""The store of DMARC reports: SQLite in a file, or PostgreSQL by its address. A report is added whole or not at all."""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from json import dumps
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.exc import IntegrityError

from blocks.dmarc_database import Database
from blocks.dmarc_tables import ALERT, FAILURE, MAIL, POINTER, RAW, RECORD, REPORT, TLS
from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.alerts import Alert
from deliverability.dmarc.failure import FailureReport
from deliverability.dmarc.intake import Added, Origin
from deliverability.dmarc.report import Record
from deliverability.dmarc.tls import TlsReport

POINTERS_LAST = timedelta(days=30)

COLUMNS = tuple(column.name for column in RECORD.columns)

# Made once: making a statement takes longer than executing it.
_THERE = select(REPORT.c.id, REPORT.c.sender, REPORT.c.mail).where(REPORT.c.digest == bindparam("digest"))
_ADD = REPORT.insert()
_COUNT = REPORT.update().where(REPORT.c.id == bindparam("number"))
_COUNT = _COUNT.values({name: bindparam(name) for name in ("records", "messages", "dropped")})
_KEPT = select(RAW.c.sha256).where(RAW.c.sha256 == bindparam("sha256"))
_KEEP = RAW.insert()
_ENTER = MAIL.insert()
_ENTER_ANEW = (  # a column's own name is taken for its new value
    MAIL.update()
    .where(*(column == bindparam(f"new_{column.name}") for column in MAIL.primary_key))
    .values({column.name: bindparam(f"new_{column.name}") for column in MAIL.columns})
)


@dataclass(frozen=True)
class Entry:
    """A mail in the ledger."""

    uid: int
    message_id: str
    sha256: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True)
class Harvest:
    """What some mails brought."""

    mails: list[Entry]
    dropped: Counter[str]
    """Records that could not be used, by what is wrong with them."""

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(mail.outcome for mail in self.mails)


class DmarcStore(Database):
    """Use as a context manager."""

    def add(self, reading: Reading, digest: str, origin: Origin) -> Added:
        """Add one report with all its records, in one transaction. Raises BadReport as the reading does, StoreError.

        Of two that add the same one at once, one adds it and the other finds it.
        """
        try:
            with self.working() as connection:
                self._add(connection, reading, digest, origin)
        except IntegrityError:
            return self._there(digest, origin)
        return Added.NEW

    def _there(self, digest: str, origin: Origin) -> Added:
        """What becomes of a report that is there already, or another one under its identifiers."""
        with self.working() as connection:
            there = connection.execute(_THERE, {"digest": digest}).first()
            if there is None:
                return Added.CONFLICT
            if there.mail == origin.mail:  # by a run that died before it could say so, or that reads all anew
                return Added.NEW
            if origin.sender and not there.sender:  # a copy whose sender is proved proves the other one
                proved = REPORT.update().where(REPORT.c.id == there.id).values(sender=origin.sender, mail=origin.mail)
                connection.execute(proved)
            return Added.DUPLICATE

    def _add(self, connection: Connection, reading: Reading, digest: str, origin: Origin) -> None:
        batches = reading.batches()
        first, second = next(batches, []), next(batches, None)
        header = reading.header
        row: dict[str, Any] = {
            "sender": origin.sender,
            "org_name": header.org_name,
            "report_id": header.report_id,
            "domain": header.domain,
            "date_begin": datetime.fromtimestamp(header.begin, UTC),
            "date_end": datetime.fromtimestamp(header.end, UTC),
            "email": header.email,
            "policy": dict(header.policy),
            "error": header.error,
            "generator": header.generator,
            "digest": digest,
            "mail": origin.mail,
            "received": datetime.now(UTC),
            **_totals(reading),
        }
        (number,) = connection.execute(_ADD, row).inserted_primary_key or (0,)
        ordinal = 0
        for batch in chain([first], [] if second is None else [second], batches):
            _insert(connection, [_row(number, ordinal + at, record) for at, record in enumerate(batch)])
            ordinal += len(batch)
        if second is not None:  # else they were known from the beginning
            connection.execute(_COUNT, {"number": number, **_totals(reading)})

    def add_tls(self, report: TlsReport, digest: str, origin: Origin) -> Added:
        rows = [
            {
                "digest": digest,
                "ordinal": ordinal,
                "mail": origin.mail,
                "sender": origin.sender,
                "org_name": report.org_name,
                "report_id": report.report_id,
                "domain": policy.domain,
                "date_begin": datetime.fromtimestamp(report.begin, UTC),
                "date_end": datetime.fromtimestamp(report.end, UTC),
                "policy_type": policy.kind,
                "successful": policy.successful,
                "failed": policy.failed,
                "failures": list(policy.failures),
            }
            for ordinal, policy in enumerate(report.policies)
        ]
        if self._once(TLS, rows):
            return Added.NEW
        mail = select(TLS.c.mail).where(TLS.c.digest == digest)
        with self.working() as connection:
            return Added.NEW if connection.execute(mail).scalar() == origin.mail else Added.DUPLICATE

    def add_failure(self, report: FailureReport, origin: Origin) -> Added:
        arrived = datetime.fromtimestamp(report.arrived, UTC) if report.arrived else None
        row = {
            "digest": origin.mail,
            "sender": origin.sender,
            "kind": report.kind,
            "domain": report.domain,
            "source_ip": report.source_ip,
            "failure": report.failure,
            "result": report.result,
            "arrived": arrived,
        }
        self._once(FAILURE, [row])
        return Added.NEW

    def _once(self, table: sqlalchemy.Table, rows: Sequence[dict[str, Any]]) -> bool:
        """Whether they were not there."""
        try:
            with self.working() as connection:
                if rows:
                    connection.execute(table.insert(), rows)
        except IntegrityError:
            return False
        return True

    def reports(self) -> int:
        """How many aggregate reports there are."""
        if not self.made:
            return 0
        with self.working() as connection:
            return connection.execute(select(func.count()).select_from(REPORT)).scalar() or 0

    def raw(self, sha256: str) -> bytes:
        """A mail that was kept. Raises KeyError."""
        with self.working() as connection:
            found = connection.execute(select(RAW.c.mail).where(RAW.c.sha256 == sha256)).scalar()
        if found is None:
            raise KeyError(sha256)
        return zlib.decompress(found)

    def ledger(self, mailbox: str, uidvalidity: int) -> dict[int, str]:
        """UID of every mail of a mailbox that was handled -> what became of it."""
        if not self.made:
            return {}
        wanted = select(MAIL.c.uid, MAIL.c.outcome).where(MAIL.c.mailbox == mailbox, MAIL.c.uidvalidity == uidvalidity)
        with self.working() as connection:
            return {row[0]: row[1] for row in connection.execute(wanted)}

    def enter(self, mailbox: str, uidvalidity: int, entry: Entry, mail: bytes | None = None) -> None:
        """Write what became of a mail into the ledger, after all that was in it; and keep it, to be read again."""
        row = {
            "mailbox": mailbox,
            "uidvalidity": uidvalidity,
            "uid": entry.uid,
            "message_id": entry.message_id,
            "sha256": entry.sha256,
            "outcome": entry.outcome,
            "reason": entry.reason,
            "handled": datetime.now(UTC),
        }
        with suppress(IntegrityError), self.working() as connection:  # two that read it at once found the same
            if not connection.execute(_ENTER_ANEW, {f"new_{name}": value for name, value in row.items()}).rowcount:
                connection.execute(_ENTER, row)
            if mail is not None and connection.execute(_KEPT, {"sha256": entry.sha256}).first() is None:
                connection.execute(_KEEP, {"sha256": entry.sha256, "mail": zlib.compress(mail)})

    def harvest(self, mailbox: str, uidvalidity: int, uids: Iterable[int]) -> Harvest:
        """What became of these mails, and of the records in them."""
        wanted = set(uids)
        mine = (MAIL.c.mailbox == mailbox, MAIL.c.uidvalidity == uidvalidity)
        columns = (MAIL.c[name] for name in ("uid", "message_id", "sha256", "outcome", "reason"))
        entries = select(*columns).where(*mine).order_by(MAIL.c.uid)
        drops = select(MAIL.c.uid, REPORT.c.dropped).join(REPORT, REPORT.c.mail == MAIL.c.sha256).where(*mine)
        dropped = Counter[str]()
        with self.working() as connection:
            mails = [Entry(*row) for row in connection.execute(entries) if row.uid in wanted]
            for uid, numbers in connection.execute(drops):
                if uid in wanted:
                    dropped.update(numbers)
        return Harvest(mails, dropped)

    def alerts(self, now: Sequence[Alert]) -> tuple[list[Alert], dict[str, str]]:
        """Those that nobody was told of yet; and fingerprint -> text of those that were told, and are over."""
        with self.working() as connection:
            told = {row.fingerprint: row.text for row in connection.execute(select(ALERT))}
        fingerprints = {alert.fingerprint for alert in now}
        return [alert for alert in now if alert.fingerprint not in told], {
            one: text for one, text in told.items() if one not in fingerprints
        }

    def told(self, new: Iterable[Alert], over: Iterable[str]) -> None:
        """Remember that a person was told of these, and that those are over."""
        moment = datetime.now(UTC)
        with self.working() as connection:
            for alert in new:
                row = {"fingerprint": alert.fingerprint, "text": alert.text[:1000], "since": moment}
                connection.execute(ALERT.insert(), row)
            connection.execute(ALERT.delete().where(ALERT.c.fingerprint.in_(list(over))))

    def pointers(self, sources: Sequence[str]) -> dict[str, str]:
        """Address -> host name, of those that were asked for within the last month."""
        since = datetime.now(UTC) - POINTERS_LAST
        wanted = select(POINTER.c.source, POINTER.c.name).where(POINTER.c.source.in_(sources), POINTER.c.asked > since)
        with self.working() as connection:
            return {row[0]: row[1] for row in connection.execute(wanted)}

    def keep_pointers(self, found: Mapping[str, str]) -> None:
        moment = datetime.now(UTC)
        with self.working() as connection:
            connection.execute(POINTER.delete().where(POINTER.c.source.in_(list(found))))
            if found:
                rows = [{"source": source, "name": name, "asked": moment} for source, name in found.items()]
                connection.execute(POINTER.insert(), rows)


def _totals(reading: Reading) -> dict[str, Any]:
    return {"records": reading.records, "messages": reading.messages, "dropped": dict(reading.dropped)}


def _row(report: int, ordinal: int, record: Record) -> tuple[object, ...]:
    return (
        report,
        ordinal,
        record.source_ip,
        record.messages,
        record.disposition,
        record.dkim_aligned,
        record.spf_aligned,
        record.dkim_aligned or record.spf_aligned,
        record.header_from,
        record.envelope_from,
        record.envelope_to,
        _json(record.dkim),
        _json(record.spf),
        _json(record.reasons),
    )


@lru_cache(maxsize=1 << 12)
def _json(value: tuple[tuple[str, ...], ...]) -> str:
    return dumps(value)


def _insert(connection: Connection, rows: list[tuple[object, ...]]) -> None:
    """Past SQLAlchemy's own conversion of values, which would take longer than everything else."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection
        with driver.cursor() as cursor, cursor.copy(f"COPY dmarc_record ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(COLUMNS))
    connection.exec_driver_sql(f"INSERT INTO dmarc_record ({', '.join(COLUMNS)}) VALUES ({marks})", rows)  # noqa: S608
