"""Running a procedure inside its flow: who is admitted, and how every way it can end becomes a report and a state."""

from collections.abc import Callable
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.client.schemas.objects import State

from blocks.notifier import Notifier
from deliverability.errors import Held, Refused, Rejected, RunbookError, UndoFailed, VerificationFailed
from deliverability.estate import Estate
from flows.leaving import leave
from flows.opening import open_estate
from flows.procedure import Run
from reports import render
from reports.record import Record, Status

ended: Record | None = None
"""How the run of this process ended. Prefect returns it too, but only if its server still lives to be told."""


def admit(name: str, unattended: bool) -> Estate:
    """The estate, if a run in it may begin at all. Raises EstateError, RehearsalError, Refused."""
    estate = open_estate(name)
    if unattended and not (estate.rehearsal and estate.gates.unattended):
        raise Refused(
            f"estate {estate.name} accepts no unattended decision",
            next_step="the same without --unattended, and answer the prompt",
        )
    return estate


def sending_host(estate: Estate) -> str:
    return estate.mta.host


def dns_master(estate: Estate) -> str:
    return estate.dns.master


def conduct(
    procedure: str,
    estate: str,
    unattended: bool,
    body: Callable[[Run], None],
    command: str = "",
    on: Callable[[Estate], str] = sending_host,
) -> State[Record]:
    """Run a procedure's body; whatever ends it, write the report and say so in the flow run's state.

    `command` is what a person types to have it again, `runbook run PROCEDURE` if nothing else is said; `on` says which
    host of the estate it changes.
    A suspension passes through untouched: the run is not over. Raises only what happens before there is a run.
    """
    command = f"{command or f'runbook run {procedure}'} --estate {estate}"
    admitted = admit(estate, unattended)
    run = Run(procedure, estate, admitted, unattended, command, on(admitted))
    try:
        body(run)
    except KeyboardInterrupt:
        _end_badly(run, Rejected("stopped by Ctrl-C"))
    except RunbookError as error:
        _end_badly(run, error)
    except Exception as error:
        get_run_logger().exception("unexpected error")
        _end_badly(run, RunbookError(f"unexpected {type(error).__name__}: {error}"))
    return _close(run)


_STATUS: tuple[tuple[type[RunbookError], Status], ...] = (
    (Rejected, Status.REJECTED),
    (Refused, Status.REFUSED),
    (VerificationFailed, Status.UNDONE),
    (UndoFailed, Status.UNDO_FAILED),
    (Held, Status.HELD),
)


def _end_badly(run: Run, error: RunbookError) -> None:
    record = run.record
    if run.confirmed and not run.unfinished and not isinstance(error, UndoFailed):
        run.finish(f"the change is made and confirmed; what came after it ended early: {error.fact}")
        return
    record.status = next((status for kind, status in _STATUS if isinstance(error, kind)), Status.ERROR)
    record.exit_code = error.exit_code
    record.summary = error.fact
    if error.next_step:
        record.open_items.append(error.next_step)


def _call_for_help(run: Run) -> None:
    """Tell a person what to do, word for word: nobody may be looking at this run."""
    record = run.record
    title = f"{record.estate}: undo failed, a person is needed ({record.procedure}, run {record.run})"
    try:
        count = Notifier.of(run.estate).send(title, "\n".join([record.summary, "", "Do this:", *record.open_items]))
        run.note("tell a person", f"{count} told")
    except Exception as error:  # a report of a failed undo must get out, whatever else fails
        run.note("tell a person", f"failed: {error}")
        record.open_items.append(f"nobody may know of this yet: {error}")


def _close(run: Run) -> State[Record]:
    global ended
    record = ended = run.record
    if record.status is Status.UNDO_FAILED:
        _call_for_help(run)
    record.ended = datetime.now(UTC).isoformat(timespec="seconds")
    return leave(record, render.report_markdown(record), run.estate, run.progress)
