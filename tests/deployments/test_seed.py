"""The empty Prefect database that a new home begins with: tables and no rows, and never in place of one in use."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deployments import seed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a database that has been used, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    used = tmp_path / "used"
    used.mkdir()
    with closing(sqlite3.connect(used / seed.DATABASE)) as database:
        database.executescript(
            "CREATE TABLE flow_run (name TEXT); CREATE INDEX by_name ON flow_run (name);"
            "CREATE TABLE alembic_version (version TEXT);"
            "INSERT INTO flow_run VALUES ('brave-otter'); INSERT INTO alembic_version VALUES ('abc');"
        )
    return used


def rows(home: Path, table: str) -> list[tuple[str]]:
    with closing(sqlite3.connect(home / seed.DATABASE)) as database:
        return database.execute(f"SELECT * FROM {table}").fetchall()


def test_a_new_home_gets_the_tables_and_nothing_of_the_other_one(home: Path, tmp_path: Path) -> None:
    seed.keep(home)
    seed.plant(tmp_path)
    assert rows(tmp_path, "flow_run") == []
    assert rows(tmp_path, "alembic_version") == [("abc",)]


def test_a_database_is_never_replaced(home: Path) -> None:
    seed.keep(home)
    seed.plant(home)
    assert rows(home, "flow_run") == [("brave-otter",)]


def test_one_that_comes_to_be_meanwhile_stays(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed.keep(home)
    new = tmp_path / "new"
    new.mkdir()

    def copy_while_another_plants(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes())
        (new / seed.DATABASE).write_bytes((home / seed.DATABASE).read_bytes())

    monkeypatch.setattr(seed.shutil, "copyfile", copy_while_another_plants)
    seed.plant(new)
    assert rows(new, "flow_run") == [("brave-otter",)]
    assert [file.name for file in new.iterdir()] == [seed.DATABASE]


def test_a_full_disk_costs_time_and_no_command(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed.keep(home)

    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seed.shutil, "copyfile", full)
    seed.plant(tmp_path)
    assert not list(tmp_path.glob(f"{seed.DATABASE}*"))
