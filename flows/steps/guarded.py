"""Changes on a host under its guard: confirmed over a new connection, or undone if anything at all goes wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

from blocks import guard as guards
from blocks import mta
from blocks.guard_arming import Armed
from blocks.ssh_session import Writer
from deliverability.errors import RunbookError, UndoFailed, VerificationFailed
from flows.procedure import Run
from flows.progress import words
from reports import render


class Guarded:
    """The changes of a run's plan to the host that is guarded."""

    def __init__(self, run: Run, writer: Writer, armed: Armed) -> None:
        self._run = run
        self._writer = writer
        self._armed = armed

    def apply(self) -> None:
        """Make them, in order, with a line in the host's journal before and after each."""
        run, writer, armed = self._run, self._writer, self._armed
        changes = run.plan.host_changes()
        for number, change in enumerate(changes, 1):
            with run.timed(render.headline(change), f"[{number}/{len(changes)}]") as done:
                guards.record(writer, armed, event="before", number=number, change=change.kind, target=change.target)
                result = mta.apply(writer, change, run.estate, guards.only_while_armed(armed))
                guards.record(writer, armed, event="after", number=number, result=result)
                done(result)


@contextmanager
def guarding(run: Run, writer: Writer) -> Iterator[Guarded]:
    """Arm the undo timer on the host; confirm the change at the end, or undo it."""
    minutes = run.estate.guard.minutes
    with run.timed(f"arm the guard, {minutes:g} min") as done:
        armed = guards.arm(writer, run.plan, run.record.run, minutes, run.estate.mta.backups)
        done(f"backups {', '.join(backup for backup, _ in armed.backups) or 'none'}")
    run.record.undo = [f"not confirmed; {_by_hand(run, armed)}", *run.by_hand]
    try:
        yield Guarded(run, writer, armed)
        with run.timed("disarm the guard, over a new connection") as done:
            guards.disarm(run.host, armed)
            done("confirmed")
    except BaseException as error:
        if _undo(run, armed, error):
            raise VerificationFailed(
                f"{words(error)}\n  it was undone; the old state is back", next_step=f"runbook reports {run.record.run}"
            ) from error
        _keep(run, armed)
        raise
    _keep(run, armed)


def _keep(run: Run, armed: Armed) -> None:
    """The host has taken the confirmation: from here on the change stands, and this is how to take it back."""
    plan = run.plan
    # Addresses first: a transport whose address is missing sends from another one, with no more than a warning.
    by_hand = [
        *(
            f"ip addr add {gone.address}/{gone.prefix} dev {gone.interface} label {gone.label}"
            for gone in plan.removed_addresses()
        ),
        *(f"cp -p {backup} {path}" for backup, path in armed.backups),
        *(_reload(service) for service in plan.reloaded()),
        *(f"ip addr del {new.address}/{new.prefix} dev {new.interface}" for new in plan.added_addresses()[::-1]),
        f"evidence on {run.host.name}: {armed.directory}",
    ]
    run.stands(by_hand, run.by_hand)


def _undo(run: Run, armed: Armed, cause: BaseException) -> bool:
    """False if there was nothing to undo any more: the host had been told to keep the change."""
    run.progress.step("undo", f"{type(cause).__name__}: {cause}")
    with run.timed("undo") as done:
        try:
            log = guards.undo(run.host, armed)
        except RunbookError:
            raise
        except BaseException as error:
            raise UndoFailed(
                f"the undo was cut short ({type(error).__name__}); the host undoes by itself at {armed.deadline}",
                next_step=_by_hand(run, armed),
            ) from error
        done("the change is confirmed, and stands" if log is None else "the old state is back")
    if log is None:
        return False
    run.record.undo = [f"undone because: {words(cause)}", *log.splitlines()]
    return True


def _by_hand(run: Run, armed: Armed) -> str:
    return f"on {run.host.name}: sh {armed.directory}/guard.sh undo; cat {armed.directory}/undo.log"


def _reload(service: str) -> str:
    return "postfix check && postfix reload" if service == "postfix" else f"systemctl reload {service}"
