"""Where reports, their JSON twins and the snapshots live, and how they are found again."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deliverability.errors import RunbookError


def var() -> Path:
    """The directory for everything that is written here: $RUNBOOK_VAR, or `var` under the current directory."""
    return Path(os.environ.get("RUNBOOK_VAR", "var")).expanduser().resolve()


def snapshots() -> Path:
    return var() / "snapshots"


@dataclass(frozen=True)
class Stored:
    """One report on disk."""

    run: str
    markdown: Path
    data: dict[str, Any]


def save(procedure: str, run: str, markdown: str, data: dict[str, Any]) -> Path:
    """Write the report and its JSON twin; the path of the Markdown file. Each appears whole or not at all."""
    folder = var() / "reports" / procedure
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / f"{run}.json", json.dumps(data, indent=2, sort_keys=True) + "\n")
    path = folder / f"{run}.md"
    _write(path, markdown)
    return path


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


def _write(path: Path, text: str) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
