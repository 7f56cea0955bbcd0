"""An empty Prefect database, kept for the next home: building one takes Prefect a hundred migrations and ten seconds.

The seed has tables and the migration's number, no rows: nothing of one home gets into another. It is kept in the user's
cache, since every rehearsal begins with a home of its own.
"""

import os
import secrets
import shutil
import sqlite3
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path

from rehearsal.rootfs import cache_home

DATABASE = "prefect.db"


def plant(home: Path) -> None:
    """Put the seed into a home that has no database yet. Of several at once the first one wins, whenever it was."""
    if _elsewhere() or (home / DATABASE).exists() or not _seed().exists():
        return
    fresh = home / f"{DATABASE}.{secrets.token_hex(4)}"
    with suppress(OSError):  # it only saves time; and a database that came to be meanwhile is in use
        shutil.copyfile(_seed(), fresh)
        (home / DATABASE).hardlink_to(fresh)
    fresh.unlink(missing_ok=True)


def keep(home: Path) -> None:
    """Make the seed from the database of a home, once for each version of Prefect."""
    if _elsewhere() or _seed().exists() or not (home / DATABASE).exists():
        return
    with suppress(OSError, sqlite3.Error):  # it only saves time
        _seed().parent.mkdir(parents=True, exist_ok=True)
        _copy(home / DATABASE, _seed())


def _copy(database: Path, seed: Path) -> None:
    made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type <> 'table'"
    fresh = seed.with_suffix(f".{secrets.token_hex(4)}")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(fresh)) as target:
        for (statement,) in source.execute(made):
            target.execute(statement)
        target.executemany("INSERT INTO alembic_version VALUES (?)", source.execute("SELECT * FROM alembic_version"))
        target.commit()
    fresh.replace(seed)


def _seed() -> Path:
    return cache_home() / f"prefect-{version('prefect')}.seed"


def _elsewhere() -> bool:
    """Whether the database is not the file of the home."""
    return any(
        name in os.environ for name in ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL")
    )
