"""Reports on disk: whole or not there, and found again by the beginning of their run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deliverability.errors import RunbookError
from reports import store


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNBOOK_VAR", str(tmp_path))
    return tmp_path / "reports"


def save(run: str, status: str = "done") -> Path:
    return store.save("snowshoe-cleanup", run, f"# {run}\n", {"schema": 1, "status": status})


def test_a_report_and_its_twin_are_written_side_by_side(folder: Path) -> None:
    path = save("20260623T100000-1a2b")
    assert path == folder / "snowshoe-cleanup" / "20260623T100000-1a2b.md"
    assert path.read_text() == "# 20260623T100000-1a2b\n"
    assert json.loads(path.with_suffix(".json").read_text()) == {"schema": 1, "status": "done"}
    assert sorted(file.suffix for file in path.parent.iterdir()) == [".json", ".md"]


def test_a_report_is_found_by_the_beginning_of_its_run() -> None:
    save("20260623T100000-1a2b")
    save("20260624T100000-3c4d")
    assert store.find("20260624").run == "20260624T100000-3c4d"
    assert store.find("20260623T100000-1a2b").data["status"] == "done"
    for unclear, count in (("2026", 2), ("", 2), ("1a2b", 0), ("20260625", 0), ("../snowshoe-cleanup/2026", 0)):
        with pytest.raises(RunbookError, match=f"{count} reports of a run") as caught:
            store.find(unclear)
        assert caught.value.next_step == "runbook reports"


def test_all_reports_are_listed_the_newest_last(folder: Path) -> None:
    assert store.find_all() == []
    for age, run in ((10, "b"), (30, "a"), (20, "c")):
        twin = save(run).with_suffix(".json")
        os.utime(twin, (1_000_000_000 - age, 1_000_000_000 - age))
    assert [stored.run for stored in store.find_all()] == ["a", "c", "b"]


@pytest.mark.parametrize("dies_at", [0, 1])
def test_a_write_that_dies_leaves_what_was_there(dies_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    old = save("r1", "done")
    replace, calls = Path.replace, []

    def dying(path: Path, target: Any) -> Path:
        calls.append(target)
        if len(calls) > dies_at:
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dying)
    for run in ("r1", "r2"):
        calls.clear()
        with pytest.raises(OSError, match="No space left"):
            save(run, "error")
    monkeypatch.undo()
    # Half a report is none: the twin, by which a report is found, comes last.
    assert json.loads(old.with_suffix(".json").read_text())["status"] == "done"
    assert old.read_text() == "# r1\n"
    assert not (old.parent / "r2.json").exists()
