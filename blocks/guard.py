"""The undo timer on the host: armed before the first write, disarmed over a new connection after verification.

It needs nothing but Debian: a systemd timer with a calendar deadline, enabled on disk, so that it survives the death
of our process, of the SSH session, of sshd, and a restart of the host.
"""

import json
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from blocks.guard_arming import (
    BASE,
    CURRENT,
    Armed,
    back_up,
    backup_names,
    lay_beside,
    start_timer,
    sweep,
    unfinished,
    write_data,
)
from blocks.ssh_host import SshHost
from blocks.ssh_session import Reader, Writer
from deliverability.errors import CommandFailed, CommandTimedOut, Conflict, Held, HostError, HostUnreachable, UndoFailed
from deliverability.plan import Plan

UNDO_SECONDS = 120.0
RETRY_SECONDS = 2.0
NOT_ARMED = 93
"""How guard.sh ends when it is asked for something that only an armed guard does."""


log = logging.getLogger("runbook")


@dataclass(frozen=True)
class Last:
    """The run that was on a host last: what its guard's state is, since when (ISO 8601, UTC), and who made it so."""

    run: str
    deadline: str
    state: str
    at: str = ""
    by: str = ""

    @property
    def settled(self) -> bool:
        return self.state in ("disarmed", "undone")

    def __str__(self) -> str:
        match self.state:
            case "armed":
                return f"the guard of run {self.run} is armed; it undoes that run at {self.deadline}"
            case "failed":
                return f"the undo of run {self.run} failed at {self.at}; its guard tries again every half minute"
            case "disarmed":
                return f"run {self.run} was confirmed at {self.at}"
            case "undone":
                return f"run {self.run} was undone {self.by} at {self.at}"
        return f"run {self.run} ended before its guard was armed; it changed nothing"


def last(host: Reader) -> Last | None:
    """The run that was on this host last, None if there was none."""
    said = host.run("cat", "--", *(f"{CURRENT}/{name}" for name in ("run", "deadline", "state")), check=False)
    lines = said.stdout.splitlines()
    if len(lines) < 2:
        return None
    state, at, by = ([*lines[2].split(maxsplit=2), "", "", ""] if len(lines) > 2 else ["new", "", ""])[:3]
    return Last(lines[0], lines[1], state, at, by)


def refuse_unsettled(host: Reader) -> None:
    """Raises Held if the last run has not settled: what one sees then is a host between two states."""
    before = last(host)
    if before is None or before.settled or before.state == "new":
        return
    directory = f"{BASE}/{before.run}"
    if before.state == "failed":
        raise Held(
            f"{host.name}: {before}; the host is between two states",
            next_step=f"on the host: cat {directory}/undo.log; sh {directory}/guard.sh undo   # or, once it is put "
            f"right by hand: sh {directory}/guard.sh accept",
        )
    raise Held(f"{host.name}: {before}", next_step=f"wait for it, or on the host: sh {directory}/guard.sh undo")


def settle(host: Writer) -> str:
    """Undo what the last run left, if it died; what was found, in words, "" if nothing.

    For whoever holds the host's lock: then the run of an armed guard has lost it, and cannot change anything once its
    guard has undone it. Raises Held if an undo failed before, UndoFailed if this one does.
    """
    before = last(host)
    if before is None or before.state == "disarmed":
        return ""
    if before.state == "undone":
        return str(before)
    if before.state == "failed":
        refuse_unsettled(host)
    directory = f"{BASE}/{before.run}"
    result = host.run("sh", f"{directory}/guard.sh", "restore", timeout=UNDO_SECONDS, check=False)
    after = last(host)
    if after is None or after.state != "undone":
        raise UndoFailed(
            f"{host.name}: run {before.run} died, and its undo failed:\n{result.stdout}{result.stderr}",
            next_step=_by_hand(host.name, directory),
        )
    return f"run {before.run} died; {after}" if before.state == "armed" else str(before)


def arm(host: Writer, plan: Plan, run: str, minutes: float, backup_directory: str) -> Armed:
    """Back up what the plan touches, write the undo data, and start the timer.

    Raises Held when another run's guard is armed there, Conflict when this run has been here before.
    """
    refuse_unsettled(host)
    directory = f"{BASE}/{run}"
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    deadline = datetime.fromtimestamp(int(host.run("date", "+%s").stdout), UTC) + timedelta(minutes=minutes)
    paths = [edit.path for edit in plan.edits()]
    backups = tuple(zip(backup_names(backup_directory, paths, plan.procedure, run), paths, strict=True))
    armed = Armed(run, directory, deadline, expires, backups)
    if host.run("ls", "-1", "--", directory, check=False).exit_code == 0:
        raise Conflict(f"run {run} has been on {host.name} before", next_step="start a new run")
    try:
        sweep(host, backup_directory)
        host.run("mkdir", "-m", "700", unfinished(run))
        back_up(host, armed)
        write_data(host, armed, plan)
        lay_beside(host, armed)
        start_timer(host, armed)
    except HostError as error:
        if isinstance(error, HostUnreachable):
            raise
        with suppress(HostError):
            host.run("sh", f"{directory}/guard.sh", "restore", check=False)
            sweep(host, backup_directory)
        raise HostError(
            f"the guard cannot be armed, nothing was changed: {error.fact}",
            next_step="is there space (df -h), do its timers run (systemctl list-timers)? Is guard.minutes too short?",
        ) from None
    return armed


def record(host: Writer, armed: Armed, **entry: object) -> None:
    """Append one line to the run's journal on the host, on disk before this returns. Raises Conflict once it fired."""
    line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}, sort_keys=True)
    noted = host.run("sh", f"{armed.directory}/guard.sh", "note", line, check=False)
    if noted.exit_code == NOT_ARMED:
        raise _fired(host, armed)
    if noted.exit_code != 0:
        raise HostError(f"{host.name}: the journal cannot be written: {noted.stderr.strip()}", next_step="df -h there")


def only_while_armed(armed: Armed) -> tuple[str, ...]:
    """What a command of the change begins with: asking the guard and changing the host are one step, under its lock.

    A command that was on its way when the cable was cut arrives when it is mended: after the guard has fired it must
    do nothing.
    """
    return "sh", f"{armed.directory}/guard.sh", "do"


def disarm(host: SshHost, armed: Armed) -> None:
    """Confirm the change, over a connection of its own. Raises Conflict if the guard has already fired.

    Asked again while the host cannot be reached: an answer that is lost does not unsay a confirmation.
    """
    while True:
        try:
            with host.operate() as fresh:
                try:
                    fresh.run("sh", f"{armed.directory}/guard.sh", "confirm")
                    return
                except CommandFailed:
                    raise _fired(fresh, armed) from None
        except (HostUnreachable, CommandTimedOut):
            if datetime.now(UTC) > armed.expires:
                raise
            time.sleep(RETRY_SECONDS)


def _fired(host: Reader, armed: Armed) -> Conflict:
    state = host.run("cat", "--", f"{armed.directory}/state").stdout.strip()
    return Conflict(f"{host.name}: the guard of run {armed.run} fired first: {state}", next_step="run again")


def undo(host: SshHost, armed: Armed) -> str | None:
    """Undo now; or, while the host cannot be reached, wait until its own timer has. Returns the log of the undo.

    None if the host had taken our confirmation already, and only its answer was lost: then the new state stands.
    Raises UndoFailed with what to type by hand when the old state is not back.
    """
    give_up = armed.expires + timedelta(seconds=UNDO_SECONDS)
    by_hand = _by_hand(host.name, armed.directory)
    said = False
    while True:
        try:
            with host.operate() as fresh:
                result = fresh.run("sh", f"{armed.directory}/guard.sh", "restore", timeout=UNDO_SECONDS, check=False)
                told = fresh.run("cat", f"{armed.directory}/undo.log", check=False).stdout
                state = fresh.run("cat", f"{armed.directory}/state").stdout
            if state.startswith("undone"):
                return told
            if state.startswith("disarmed"):
                _refuse_by_hand(host.name, armed, state.strip())
                return None
            raise UndoFailed(f"{host.name}: the old state is not back:\n{told}{result.stderr}", next_step=by_hand)
        except HostError as error:
            waiting = isinstance(error, HostUnreachable | CommandTimedOut)
            if not waiting or datetime.now(UTC) > give_up:
                raise UndoFailed(
                    f"{error.fact}; its guard undoes by itself at {armed.deadline}, which could not be seen from here",
                    next_step=by_hand,
                ) from None
            if not said:
                log.warning("%s; its guard undoes by itself at %s; asking until then", error.fact, armed.deadline)
            said = True
            time.sleep(RETRY_SECONDS)


def _refuse_by_hand(name: str, armed: Armed, state: str) -> None:
    """Raises UndoFailed if it was a person who disarmed the guard, amid the changes."""
    if state.endswith("by hand"):
        raise UndoFailed(
            f"{name}: the guard was {state} while the run was at work: what it had changed by then stands",
            next_step=f"on the console of {name}: cat {armed.directory}/journal; what is not right, put right by hand: "
            f"{armed.directory}/files names the backups",
        )


def _by_hand(name: str, directory: str) -> str:
    """What to type, word for word, when an undo has failed; the host itself goes on trying."""
    return (
        f"on the console of {name}: cat {directory}/undo.log; sh {directory}/guard.sh undo\n"
        f"        its guard tries the same every half minute from its deadline on; if you put the host right by hand "
        f"(cp -p the backups in {directory}/files back, addresses, routes, postfix reload), then: "
        f"sh {directory}/guard.sh accept"
    )
