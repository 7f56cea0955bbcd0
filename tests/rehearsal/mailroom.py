"""The mailbox of DMARC reports in the estate, and the store of a desk: what is put into one is found in the other."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy

from blocks.dmarc_figures import Figures
from blocks.dmarc_store import DmarcStore
from deliverability.dmarc.traffic import Line
from estates import Desk
from rehearsal.dmarc.delivery import MAILDIR, deliver
from rehearsal.hosts import Done

BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
POSTGRESQL = "postgresql+psycopg://reports@207.174.124.15/reports"
COPIED = {
    "dmarc_report": "sender, org_name, email, report_id, domain, date_begin, date_end, policy, error, digest, mail, "
    "records, messages, dropped",
    "dmarc_record": "ordinal, source_ip, msg_count, disposition, dmarc_pass, header_from, dkim, spf, reasons",
    "dmarc_mail": "uid, message_id, sha256, outcome, reason",
    "dmarc_raw": "sha256",
}
"""All that two runs over the same mails have to agree on: not when they did it, nor in which order."""


class Mailroom:
    """One mailbox, empty at first, and a store of its own in SQLite."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        desk.procedure = "dmarc-daily"
        desk.estate.reset("co")
        self.host = desk.estate.host("co")
        self.store = self.use(f"sqlite:///{desk.var}/dmarc.sqlite")

    def use(self, store: str, more: str = "") -> str:
        """From now on the desk's runs use this store."""
        self.store = store
        self.desk.write_estate(f'[dmarc]\nstore = "{store}"\n{more}')
        return store

    def use_postgresql(self) -> None:
        """Use the store of the estate's mail host, which starts empty."""
        started = self.host.run(["report-database", "start"])
        assert started.returncode == 0, started.stderr
        self.use(POSTGRESQL)

    def deliver(self, mails: Iterable[bytes]) -> None:
        deliver(self.host, mails)

    def run(self, *options: str) -> Done:
        return self.desk.run("run", *options)

    def last(self) -> dict[str, Any]:
        """The JSON twin of the last report."""
        return self.desk.reports()[-1]

    def lines(self) -> list[Line]:
        def read() -> list[Line]:
            with DmarcStore(self.store) as store:
                return list(Figures(store).lines(BEGIN, END))

        return self.desk.in_hub(read)

    def ledger(self) -> dict[int, str]:
        """UID -> outcome, of the one numbering there is."""

        def read() -> dict[int, str]:
            with DmarcStore(self.store) as store, store.working() as connection:
                return dict(connection.exec_driver_sql("SELECT uid, outcome FROM dmarc_mail").fetchall())

        return self.desk.in_hub(read)

    def content(self) -> dict[str, list[str]]:
        """Whatever is in the store that does not depend on when it got there."""

        def read() -> dict[str, list[str]]:
            with DmarcStore(self.store) as store, store.working() as connection:
                return {
                    table: sorted(map(str, connection.exec_driver_sql(f"SELECT {columns} FROM {table}").fetchall()))
                    for table, columns in COPIED.items()
                }

        return self.desk.in_hub(read)

    def count(self) -> int:
        """Mails in the ledger, of a store in SQLite that another process is writing to."""
        file = Path(sqlalchemy.make_url(self.store).database or "")
        if not file.exists():
            return 0
        with sqlalchemy.create_engine(f"sqlite:///file:{file}?mode=ro&uri=true").connect() as connection:
            tables = connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars().all()
            if "dmarc_mail" not in tables:
                return 0
            return int(connection.exec_driver_sql("SELECT count(*) FROM dmarc_mail").scalar() or 0)

    def flags(self) -> dict[str, int]:
        """Flags of the mails as the server keeps them -> how many mails."""
        found: dict[str, int] = {}
        for folder in ("cur", "new"):
            for mail in Path(f"/proc/{self.host.pid}/root/{MAILDIR}/{folder}").iterdir():
                flags = mail.name.partition(":2,")[2]
                found[flags] = found.get(flags, 0) + 1
        return found
