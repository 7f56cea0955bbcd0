"""The database that keeps DMARC reports, by its address: SQLite in a file, or PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError

from blocks.dmarc_tables import MAIL, METADATA
from deliverability.errors import StoreAway, StoreError

BUSY_SECONDS = 60
"""How long a writer waits for another one on SQLite."""


class Database:
    """Use as a context manager."""

    def __init__(self, url: str, make: bool = True) -> None:
        """`url` as SQLAlchemy has it. Tables are made if they are not there, unless not to `make` them.

        Raises StoreError.
        """
        self._engine = _engine(url)
        with self.working() as connection:
            if make:
                _refuse_others(connection)
                METADATA.create_all(connection)
            self.made = make or sqlalchemy.inspect(connection).has_table(MAIL.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._engine.dispose()

    @contextmanager
    def working(self) -> Iterator[Connection]:
        """A transaction, committed at the end."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (OperationalError, psycopg.OperationalError) as error:  # the driver's own while it copies
            raise StoreAway(self._says(error), next_step="runbook doctor") from None
        except (DBAPIError, psycopg.Error) as error:
            raise StoreError(self._says(error), next_step="runbook doctor") from None

    def _says(self, error: DBAPIError | psycopg.Error) -> str:
        words = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
        return f"the store of DMARC reports ({self._engine.url.render_as_string()}): {words[0] if words else error}"


def _engine(url: str) -> Engine:
    try:
        engine = sqlalchemy.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))  # a file does not go away
    except (ArgumentError, ImportError):
        raise StoreError(  # without the words, which may have its password
            "dmarc.store is no address of a database that can be used here",
            next_step="see docs/how-to/daily-dmarc.md: sqlite:///... or postgresql+psycopg://...",
        ) from None
    if engine.dialect.name == "sqlite":
        if engine.url.database not in (None, "", ":memory:"):
            Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _refuse_others(connection: Connection) -> None:
    """Raises StoreError if a table is another program's: the runbook's own parser had two of these names."""
    there = sqlalchemy.inspect(connection)
    names = there.get_table_names()
    for table in METADATA.sorted_tables:
        if table.name not in names:
            continue
        missing = {column.name for column in table.columns} - {one["name"] for one in there.get_columns(table.name)}
        if missing:
            raise StoreError(
                f"the table {table.name} is another program's: it has no {', '.join(sorted(missing))}",
                next_step="give the store a database or a schema of its own: dmarc.store",
            )


def _prepare_postgresql(connection: Any, _record: object) -> None:
    connection.execute("SET TIME ZONE 'UTC'")  # a day is one of UTC, as in the reports
    connection.commit()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's own recipe: the driver would begin transactions of its own
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA page_size = 16384")  # of a new file; writing many rows takes a fifth less than with 4096
    connection.execute("PRAGMA journal_mode = WAL")
    # A power cut may take the last transactions, in their order: a mail that is not in the ledger is read again.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes then could not wait for another writer.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
