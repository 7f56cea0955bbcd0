"""An empty Prefect database, kept for the next home: building one takes Prefect a hundred migrations and seven seconds.

The seed has tables and the migration's number, no rows: nothing of one home gets into another.
"""

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import prefect

from deployments.settings import default_home

DATABASE = "prefect.db"


def plant(home: Path) -> None:
    """Put the seed into a home that has no database yet."""
    if _elsewhere() or (home / DATABASE).exists() or not _seed().exists():
        return
    fresh = home / f"{DATABASE}.{secrets.token_hex(4)}"
    shutil.copyfile(_seed(), fresh)
    fresh.replace(home / DATABASE)


def keep(home: Path) -> None:
    """Make the seed from the database of a home, once for each version of Prefect."""
    if _elsewhere() or _seed().exists() or not (home / DATABASE).exists():
        return
    _seed().parent.mkdir(parents=True, exist_ok=True)
    fresh = _seed().with_suffix(f".{secrets.token_hex(4)}")
    with closing(sqlite3.connect(home / DATABASE)) as source, closing(sqlite3.connect(fresh)) as seed:
        made = (
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type <> 'table'"
        )
        for (statement,) in source.execute(made):
            seed.execute(statement)
        seed.executemany("INSERT INTO alembic_version VALUES (?)", source.execute("SELECT * FROM alembic_version"))
        seed.commit()
    fresh.replace(_seed())


def _seed() -> Path:
    return default_home().parent / f"prefect-{prefect.__version__}.seed"


def _elsewhere() -> bool:
    """Whether the database is not the file of the home."""
    return any(
        name in os.environ for name in ("PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_CONNECTION_URL")
    )
