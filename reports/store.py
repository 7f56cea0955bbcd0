"""Where reports, their JSON twins and the snapshots live, and how they are found again."""

import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deliverability.errors import RunbookError
from deliverability.plan import Plan
from reports.record import Status

ROOT = Path(__file__).resolve().parent.parent


def var() -> Path:
    """The directory for everything that is written here: $RUNBOOK_VAR, or `var` in the project."""
    return Path(os.environ.get("RUNBOOK_VAR") or ROOT / "var").expanduser().resolve()


def snapshots() -> Path:
    return var() / "snapshots"


@dataclass(frozen=True)
class Stored:
    """One report on disk."""

    run: str
    markdown: Path
    data: dict[str, Any]


def save(procedure: str, run: str, markdown: str, data: dict[str, Any]) -> Path:
    """Write the report and its JSON twin; the path of the Markdown file.

    Each appears whole or not at all, the twin last: a report is found by it.
    """
    folder = var() / "reports" / procedure
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run}.md"
    _write(path, markdown)
    _write(path.with_suffix(".json"), json.dumps(data, indent=2, sort_keys=True) + "\n")
    return path


def prune(days: int) -> None:
    """Remove reports that are older than `days`; the estate says how long they are kept."""
    oldest = time.time() - days * 86_400
    for file in (var() / "reports").glob("*/*.*"):
        with suppress(FileNotFoundError):  # another run prunes too
            if file.suffix in (".md", ".json") and file.stat().st_mtime < oldest:
                file.unlink()


def find_all() -> list[Stored]:
    """Every report, the newest last."""
    twins = sorted((var() / "reports").glob("*/*.json"), key=lambda file: file.stat().st_mtime)
    return [Stored(twin.stem, twin.with_suffix(".md"), json.loads(twin.read_text())) for twin in twins]


def find(run: str) -> Stored:
    """The one report whose run begins with `run`. Raises RunbookError if there is none, or more than one."""
    found = [stored for stored in find_all() if stored.run.startswith(run)]
    if len(found) != 1:
        raise RunbookError(f"{len(found)} reports of a run {run!r}", next_step="runbook reports")
    return found[0]


@dataclass(frozen=True)
class Past:
    """A run that has done what it was for, and its plan."""

    run: str
    plan: Plan


HOST_REMEMBERS = ("snowshoe-cleanup", "undo")
"""Procedures whose plans are taken back from what the guard has left on the host."""


def plan_of_done(run: str) -> Past | None:
    """The one run that begins so, if its report is here and is all that remembers its plan: it changed DNS.

    None for any other: that is asked of its host.
    """
    found = [stored for stored in find_all() if stored.run.startswith(run)]
    if len(found) != 1 or found[0].data["status"] != Status.DONE or found[0].data["procedure"] in HOST_REMEMBERS:
        return None
    return Past(found[0].run, Plan.model_validate(found[0].data["plan"]))


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
