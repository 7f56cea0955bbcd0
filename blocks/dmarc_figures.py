"""What the stored reports show."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from json import loads
from typing import Any

import sqlalchemy
from sqlalchemy import String, func, select

from blocks.dmarc_database import Database
from blocks.dmarc_tables import MAIL, RECORD, REPORT
from deliverability.dmarc.traffic import Line


class Figures:
    """Of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(self, since: datetime, until: datetime) -> Iterator[Line]:
        """Whatever reports say of this time, summed up by day and outcome; a report counts by the day it begins on."""
        day = sqlalchemy.cast(func.date(REPORT.c.date_begin), String)
        source = sqlalchemy.cast(RECORD.c.source_ip, String)
        texts = [sqlalchemy.cast(RECORD.c[name], String) for name in ("dkim", "reasons")]
        what = [
            day,
            source,
            REPORT.c.sender,
            REPORT.c.org_name,
            RECORD.c.header_from,
            RECORD.c.disposition,
            RECORD.c.dkim_aligned,
            RECORD.c.spf_aligned,
            *texts,
        ]
        query = (
            select(*what, func.sum(RECORD.c.msg_count))
            .join(REPORT, REPORT.c.id == RECORD.c.report_id)
            .where(REPORT.c.date_end > since, REPORT.c.date_begin < until)
            .group_by(*what)
        )
        with self._database.working() as connection:
            for row in connection.execution_options(yield_per=5_000).execute(query):
                yield _line(*row)

    def reporters(self, since: datetime) -> dict[str, tuple[int, datetime]]:
        """Proved senders of reports -> on how many days they reported, and the end of the last report's time."""
        days = func.count(func.distinct(func.date(REPORT.c.date_begin)))
        query = (
            select(REPORT.c.sender, days, func.max(REPORT.c.date_end))
            .where(REPORT.c.date_begin >= since, REPORT.c.sender != "")
            .group_by(REPORT.c.sender)
        )
        with self._database.working() as connection:
            return {sender: (count, _utc(last)) for sender, count, last in connection.execute(query)}

    def last_report(self) -> datetime | None:
        """When the last report was added."""
        with self._database.working() as connection:
            last = connection.execute(select(func.max(REPORT.c.received))).scalar()
        return _utc(last) if last is not None else None

    def policies(self, since: datetime) -> dict[str, dict[str, int]]:
        """Domain -> p as it was seen published -> reports from proved senders."""
        query = select(REPORT.c.domain, REPORT.c.policy).where(REPORT.c.date_begin >= since, REPORT.c.sender != "")
        found: dict[str, dict[str, int]] = {}
        with self._database.working() as connection:
            for domain, policy in connection.execute(query):
                seen = found.setdefault(domain, {})
                seen[policy.get("p", "")] = seen.get(policy.get("p", ""), 0) + 1
        return found

    def outcomes(self, since: datetime) -> dict[str, int]:
        """What became of the mails handled since then -> how many."""
        query = select(MAIL.c.outcome, func.count()).where(MAIL.c.handled >= since).group_by(MAIL.c.outcome)
        with self._database.working() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}


def _line(
    day: str, source: str, sender: str, org: str, author: str, disposition: str, by_dkim: bool, by_spf: bool, *rest: Any
) -> Line:
    dkim, reasons, count = rest
    return Line(
        day=date.fromisoformat(day),
        source=source.removesuffix("/32").removesuffix("/128"),
        sender=sender,
        org=org,
        author=author,
        disposition=disposition,
        dkim_aligned=bool(by_dkim),
        spf_aligned=bool(by_spf),
        dkim=_tuples(dkim),
        reasons=_tuples(reasons),
        count=int(count),
    )


@lru_cache(maxsize=1 << 12)
def _tuples(text: str) -> Any:
    return tuple(tuple(one) for one in loads(text))


def _utc(moment: datetime | str) -> datetime:
    """SQLite keeps no time zone, and gives text for a greatest one."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found if found.tzinfo else found.replace(tzinfo=UTC)
