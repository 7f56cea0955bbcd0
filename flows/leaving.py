"""How every run ends: its report on disk and in Prefect, and its state."""

from collections.abc import Mapping
from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from deliverability.errors import FINDINGS
from deliverability.estate import Estate
from flows.progress import Progress
from flows.steps import tasks
from reports import store
from reports.record import Record, Status


def leave(
    record: Record, markdown: str, estate: Estate, progress: Progress, more: Mapping[str, Any] | None = None
) -> State[Record]:
    """Write the report, publish it, and say how the run ended. `more` is added to the report's JSON twin."""
    # What happened on the host depends neither on our disk nor on Prefect: the report gets out by one of three ways.
    try:
        data = record.model_dump(mode="json", by_alias=True) | dict(more or {})
        path = store.save(record.procedure, record.run, markdown, data)
        progress.step(record.status, f"report {path}")
    except OSError as error:
        progress.step(record.status, f"the report could not be written ({error}); it follows here\n{markdown}")
    try:
        tasks.publish(f"{record.procedure}-report", markdown)
    except Exception as error:
        progress.step(record.status, f"the report is no artifact, Prefect does not take it: {error}")
    store.prune(estate.reports.retention_days)
    message = f"{record.status}: {record.summary.splitlines()[0]}"
    if record.exit_code in (0, FINDINGS):
        return Completed(message=message, data=record)
    if record.status is Status.REJECTED:
        return Cancelled(message=message, data=record)
    return Failed(message=message, data=record)
