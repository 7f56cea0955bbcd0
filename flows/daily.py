"""What the scheduled procedures share: they ask nobody and change no host, and every way they end is a report too."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger, runtime
from prefect.client.schemas.objects import State

from blocks.notifier import Notifier
from deliverability.errors import NotificationFailed, Rejected, RunbookError
from deliverability.estate import Estate
from flows import conduct
from flows.leaving import leave
from flows.opening import open_estate
from flows.progress import Progress
from flows.steps import tasks
from reports import render
from reports.record import Record, Status


class Daily:
    """One run: what it knows, and the report it will leave."""

    def __init__(self, procedure: str, source: str) -> None:
        """`source` is the estate's name or file."""
        begun = tasks.begin(procedure, source, 0)
        self.source = source
        self.estate: Estate = open_estate(source)
        self.progress = Progress()
        self.began = datetime.fromisoformat(begun["started"])
        self.markdown = ""
        self.data: Mapping[str, Any] = {}
        self.record = Record(
            run=begun["run"],
            procedure=procedure,
            estate=self.estate.name,
            rehearsal=self.estate.rehearsal,
            trigger=begun["trigger"],
            started=begun["started"],
        )


def conducted(procedure: str, estate: str, body: Callable[[Daily], None]) -> State[Record]:
    """Run a body that fills in record and Markdown; whatever ends it, leave a report. Raises only what comes before."""
    run = Daily(procedure, estate)
    record = run.record
    try:
        body(run)
    except KeyboardInterrupt:
        _end_badly(run, Rejected("stopped by Ctrl-C"))
    except RunbookError as error:
        _end_badly(run, error)
    except Exception as error:
        get_run_logger().exception("unexpected error")
        _end_badly(run, RunbookError(f"unexpected {type(error).__name__}: {error}"))
    record.ended = datetime.now(UTC).isoformat(timespec="seconds")
    conduct.ended = record
    return leave(record, run.markdown or render.report_markdown(record), run.estate, run.progress, run.data)


def _end_badly(run: Daily, error: RunbookError) -> None:
    """What the body had to show before the error is shown after it."""
    record = run.record
    record.status = Status.REJECTED if isinstance(error, Rejected) else Status.ERROR
    record.exit_code = error.exit_code
    record.summary = error.fact
    if error.next_step:
        record.open_items.append(error.next_step)
    if runtime.deployment.id and run.estate.notifications.urls:  # nobody sits before a run that its schedule started
        try:
            Notifier.of(run.estate).send(f"{run.estate.name}: {record.procedure} failed", str(error))
        except NotificationFailed as failure:
            record.open_items.append(failure.fact)
    if run.markdown:
        run.markdown = f"{render.report_markdown(record)}\n{run.markdown}"
