"""The undo timer on the host: armed before the first write, disarmed over a new connection after verification.

It needs nothing but Debian: a systemd timer with a calendar deadline, enabled on disk, so that it survives the death
of our process, of the SSH session, of sshd, and a restart of the host.
"""

import io
import json
import logging
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from string import Template

from blocks.ssh_host import SshHost
from blocks.ssh_session import Reader, Writer
from deliverability.errors import CommandFailed, CommandTimedOut, Conflict, Held, HostError, HostUnreachable, UndoFailed
from deliverability.network.addresses import LiveAddress, parse_addresses
from deliverability.plan import Plan

BASE = "/var/lib/deliverability-runbook"
UNITS = "/etc/systemd/system"
CURRENT = f"{BASE}/current"
"""A link to the directory of the run that was here last: one guard at most is ever armed."""

UNDO_SECONDS = 120.0
RETRY_SECONDS = 2.0
RESERVE_KILOBYTES = 256
NOT_ARMED = 3
"""How guard.sh ends when it is asked for something that only an armed guard does."""


log = logging.getLogger("runbook")


@dataclass(frozen=True)
class Armed:
    """A guard on a host: its run, the directory with its evidence, and when it fires (UTC).

    `deadline` is by the host's clock, which is the one that fires it; `expires` is the same moment by ours.
    """

    run: str
    directory: str
    deadline: datetime
    expires: datetime
    backups: tuple[tuple[str, str], ...]


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


def backup_name(directory: str, path: str, procedure: str, run: str) -> str:
    """`/root/master.cf.bak_snowshoe_RUN`: a name of its own for every run, so that no backup is ever overwritten."""
    return f"{directory}/{path.rpartition('/')[2]}.bak_{procedure.partition('-')[0]}_{run}"


def arm(host: Writer, plan: Plan, run: str, minutes: float, backup_directory: str) -> Armed:
    """Back up what the plan touches, write the undo data, and start the timer.

    Raises Held when another run's guard is armed there, Conflict when this run has been here before.
    """
    refuse_unsettled(host)
    directory = f"{BASE}/{run}"
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    deadline = datetime.fromtimestamp(int(host.run("date", "+%s").stdout), UTC) + timedelta(minutes=minutes)
    paths = [edit.path for edit in plan.edits()]
    backups = tuple((backup_name(backup_directory, path, plan.procedure, run), path) for path in paths)
    armed = Armed(run, directory, deadline, expires, backups)
    if host.run("ls", "-1", "--", directory, check=False).exit_code == 0:
        raise Conflict(f"run {run} has been on {host.name} before", next_step="start a new run")
    try:
        _back_up(host, armed)
        _write_data(host, armed, plan)
        _start_timer(host, armed)
    except HostError as error:
        if isinstance(error, HostUnreachable):
            raise
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


def disarm(host: SshHost, armed: Armed) -> None:
    """Confirm the change, over a connection of its own. Raises Conflict if the guard has already fired.

    Asked again while the host cannot be reached: an answer that is lost does not unsay a confirmation.
    """
    while True:
        try:
            with host.operate() as fresh:
                try:
                    fresh.run("sh", f"{armed.directory}/guard.sh", "disarm")
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


def undo(host: SshHost, armed: Armed) -> str:
    """Undo now; or, while the host cannot be reached, wait until its own timer has. Returns the log of the undo.

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


def _by_hand(name: str, directory: str) -> str:
    """What to type, word for word, when an undo has failed; the host itself goes on trying."""
    return (
        f"on the console of {name}: cat {directory}/undo.log; sh {directory}/guard.sh undo\n"
        f"        its guard tries the same every half minute from its deadline on; if you put the host right by hand "
        f"(cp -p the backups in {directory}/files back, addresses, routes, postfix reload), then: "
        f"sh {directory}/guard.sh accept"
    )


def _back_up(host: Writer, armed: Armed) -> None:
    for backup, path in armed.backups:
        folder, _, name = path.rpartition("/")
        # The second copy is what an undo moves into place: on a disk that is full by then, nothing can be copied.
        for copy in (backup, f"{folder}/.{name}.guard-{armed.run}"):
            # --no-clobber is silent about a name that is taken; the comparison is not.
            host.run("cp", "-p", "--no-clobber", "--", path, copy)
            host.run("cmp", "--", path, copy)
        host.run("sync", "--", backup, f"{folder}/.{name}.guard-{armed.run}")


def _write_data(host: Writer, armed: Armed, plan: Plan) -> None:
    deadline = armed.deadline.strftime("%Y-%m-%d %H:%M:%S UTC")
    values = {"run": armed.run, "directory": armed.directory, "deadline": deadline}
    routes = host.run("ip", "-4", "route", "show").stdout
    texts = {
        "README": _template("README", values),
        "run": armed.run + "\n",
        "deadline": deadline + "\n",
        "plan.json": plan.model_dump_json(indent=2) + "\n",
        "files": "".join(f"{backup}\t{path}\n" for backup, path in armed.backups),
        "hashes": host.run("sha256sum", "--", *(path for pair in armed.backups for path in pair)).stdout,
        "addresses": _address_lines(live_addresses(host)),
        "added": "".join(f"{new.address}/{new.prefix}\t{new.interface}\n" for new in plan.added_addresses()),
        "routes": "".join(f"{line.rstrip()}\n" for line in routes.splitlines()),
        "guard.sh": files("blocks").joinpath("guard_files/guard.sh").read_text(),
    }
    fresh = f"{BASE}/.{armed.run}.new"
    host.run("mkdir", "-p", "-m", "700", BASE)
    host.run("mkdir", "-m", "700", fresh)
    host.run("tar", "--extract", "--no-same-owner", "--directory", fresh, stdin=_archive(texts))
    host.run("dd", "if=/dev/zero", f"of={fresh}/reserve", "bs=1K", f"count={RESERVE_KILOBYTES}", "conv=fsync")
    host.run("sync", "--file-system", fresh)
    # It is there with all it needs, or it is not there.
    host.run("mv", "--no-target-directory", fresh, armed.directory)
    host.run("ln", "--symbolic", "--force", "--no-dereference", armed.run, f"{CURRENT}.new")
    host.run("mv", "--no-target-directory", f"{CURRENT}.new", CURRENT)
    unit = f"{UNITS}/deliverability-guard-{armed.run}"
    host.write_text(f"{unit}.service", _template("guard.service", values), mode=0o644)
    host.write_text(f"{unit}.timer", _template("guard.timer", values), mode=0o644)


def _archive(texts: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(text.encode()), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _start_timer(host: Writer, armed: Armed) -> None:
    timer = f"deliverability-guard-{armed.run}.timer"
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "enable", "--now", "--quiet", timer)
    host.run("sh", f"{armed.directory}/guard.sh", "arm")


def live_addresses(host: Reader) -> tuple[LiveAddress, ...]:
    """The host's IPv4 addresses, in the order the kernel has them."""
    return parse_addresses(host.run("ip", "-j", "addr", "show").stdout)


def _address_lines(addresses: Sequence[LiveAddress]) -> str:
    return "".join(
        f"{live.address}/{live.prefix}\t{live.interface}\t{live.label}\t{live.broadcast or ''}\n"
        for live in addresses
        if live.scope == "global" and "." in live.address
    )


def _template(name: str, values: dict[str, str]) -> str:
    return Template(files("blocks").joinpath(f"guard_files/{name}").read_text()).substitute(values)
