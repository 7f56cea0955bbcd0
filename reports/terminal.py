"""What the `runbook` command shows: data on stdout, progress and prose on stderr; nothing remote that a terminal obeys.

As in cli.py, imports wait until something is shown.
"""

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deliverability.finding import Finding
    from reports.record import Record

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True, highlight=False)

_COLOUR = {"ok": "green", "fail": "red", "warning": "yellow", "unknown": "magenta"}


def tell(record: "Record") -> int:
    """Show how a run ended; its exit code."""
    from reports import store
    from reports.render import visible

    show(record.findings)
    out.print(visible(f"{record.status}: {record.summary}"), markup=False)
    out.print(f"report  {store.var() / 'reports' / record.procedure / (record.run + '.md')}", markup=False)
    for item in record.open_items:
        err.print(visible(f"next: {item}"), markup=False)
    return record.exit_code


def show(findings: "list[Finding]") -> None:
    """One line a finding: it survives a pipe, a narrow terminal and a copy into a ticket."""
    from reports.render import visible

    for finding in findings:
        out.print(f"{finding.verdict:<15}", style=_COLOUR.get(finding.verdict, "dim"), end="")
        where = f"  ({finding.where})" if finding.where else ""
        out.print(visible(f"{finding.check}: {finding.observed}{where}"), markup=False, highlight=False)
        if finding.fix:
            out.print(visible(f"{'':<15}next: {finding.fix}"), markup=False, highlight=False)


@contextmanager
def counting(what: str) -> "Iterator[Callable[[int, str], None]]":
    """A line that counts, on stderr, if a person may be looking."""
    from reports.render import visible

    with err.status(what) as line:
        yield lambda count, name: line.update(f"{what} {count}: {escape(visible(name))}")


def show_json(data: dict[str, Any]) -> None:
    """Data for a program, under the number of its schema."""
    print(json.dumps({"schema": 1, **data}, indent=2, sort_keys=True))
