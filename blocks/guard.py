"""The undo timer on the host: armed before the first write, disarmed over a new connection after verification.

It needs nothing but Debian: a systemd timer with a calendar deadline, enabled on disk, so that it survives the death
of our process, of the SSH session, of sshd, and a restart of the host.
"""

import json
import time
from collections.abc import Sequence
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
UNDO_SECONDS = 120.0
RETRY_SECONDS = 2.0


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


def backup_name(directory: str, path: str, procedure: str, run: str) -> str:
    """`/root/master.cf.bak_snowshoe_RUN`: a name of its own for every run, so that no backup is ever overwritten."""
    return f"{directory}/{path.rpartition('/')[2]}.bak_{procedure.partition('-')[0]}_{run}"


def arm(host: Writer, plan: Plan, run: str, minutes: float, backup_directory: str) -> Armed:
    """Back up what the plan touches, write the undo data, and start the timer.

    Raises Held when another run's guard is armed there, Conflict when this run has been here before.
    """
    refuse_if_armed(host, run)
    directory = f"{BASE}/{run}"
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    deadline = datetime.fromtimestamp(int(host.run("date", "+%s").stdout), UTC) + timedelta(minutes=minutes)
    try:
        host.run("mkdir", "-p", "-m", "700", BASE)
        host.run("mkdir", "-m", "700", directory)
    except CommandFailed as error:
        raise Conflict(f"run {run} has been on {plan.host} before: {error.fact}", next_step="start a new run") from None
    paths = [edit.path for edit in plan.edits()]
    backups = tuple((backup_name(backup_directory, path, plan.procedure, run), path) for path in paths)
    for backup, path in backups:
        # --no-clobber is silent about a name that is taken; the comparison is not.
        host.run("cp", "-p", "--no-clobber", "--", path, backup)
        host.run("cmp", "--", path, backup)
    armed = Armed(run, directory, deadline, expires, backups)
    _write_data(host, armed, plan)
    _start_timer(host, armed)
    return armed


def refuse_if_armed(host: Reader, run: str = "") -> None:
    """Raises Held if a guard of another run is armed on the host, or could not restore it."""
    for owner in host.run("ls", "-1", "--", BASE, check=False).stdout.split():
        word, _, _ = host.run("cat", "--", f"{BASE}/{owner}/state", check=False).stdout.partition(" ")
        if word == "failed":
            raise Held(
                f"{host.name}: the undo of run {owner} failed; the host is between two states",
                next_step=f"on the host: cat {BASE}/{owner}/undo.log; sh {BASE}/{owner}/guard.sh undo",
            )
        if word == "armed" and owner != run:
            deadline = host.run("cat", "--", f"{BASE}/{owner}/deadline").stdout.strip()
            raise Held(
                f"{host.name}: the guard of run {owner} is armed; it undoes that run at {deadline}",
                next_step=f"wait for it, or on the host: sh {BASE}/{owner}/guard.sh undo",
            )


def record(host: Writer, armed: Armed, **entry: object) -> None:
    """Append one line to the run's journal on the host, on disk before this returns. Raises Conflict once it fired."""
    line = json.dumps({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}, sort_keys=True)
    try:
        host.run("sh", f"{armed.directory}/guard.sh", "note", line)
    except CommandFailed:
        raise _fired(host, armed) from None


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
    by_hand = f"on the console of {host.name}: sh {armed.directory}/guard.sh undo; cat {armed.directory}/undo.log"
    while True:
        try:
            with host.operate() as fresh:
                result = fresh.run("sh", f"{armed.directory}/guard.sh", "restore", timeout=UNDO_SECONDS, check=False)
                log = fresh.run("cat", f"{armed.directory}/undo.log", check=False).stdout
                state = fresh.run("cat", f"{armed.directory}/state").stdout
            if result.exit_code == 0 and state.startswith("undone"):
                return log
            raise UndoFailed(f"{host.name}: the old state is not back:\n{log}{result.stderr}", next_step=by_hand)
        except HostUnreachable as error:
            if datetime.now(UTC) > give_up:
                raise UndoFailed(
                    f"{error.fact}; its guard should have fired at {armed.deadline}", next_step=by_hand
                ) from None
            time.sleep(RETRY_SECONDS)


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
        "routes": "".join(f"{line.rstrip()}\n" for line in routes.splitlines()),
        "guard.sh": files("blocks").joinpath("guard_files/guard.sh").read_text(),
    }
    for name, text in texts.items():
        host.write_text(f"{armed.directory}/{name}", text, mode=0o600)
    unit = f"{UNITS}/deliverability-guard-{armed.run}"
    host.write_text(f"{unit}.service", _template("guard.service", values), mode=0o644)
    host.write_text(f"{unit}.timer", _template("guard.timer", values), mode=0o644)


def _start_timer(host: Writer, armed: Armed) -> None:
    timer = f"deliverability-guard-{armed.run}.timer"
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "enable", "--now", "--quiet", timer)
    try:
        host.run("sh", f"{armed.directory}/guard.sh", "arm")
    except CommandFailed as error:
        raise HostError(
            f"the guard cannot be armed, nothing was changed: {error.fact}",
            next_step="raise guard.minutes in the estate file, or look at the host: systemctl list-timers",
        ) from None


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
