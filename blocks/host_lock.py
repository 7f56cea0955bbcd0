"""One change at a time per host: a lock that the host's own kernel keeps for as long as our connection lives.

A run that is killed lets go of it at once. One whose connection dies in silence keeps it until its guard is past its
deadline, when it could not change anything any more; `release` is for a person who does not want to wait.
"""

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import paramiko

from blocks.ssh_session import Reader, Writer
from deliverability.errors import Conflict, Held, HostUnreachable

LOCK = "/run/lock/deliverability-runbook"
OWNER = f"{LOCK}.owner"
OWNER_TRIES = 10
HOLD = (
    f'printf "%s\\n" "$PPID" "$1" >{OWNER}.new && mv {OWNER}.new {OWNER} && echo held; '
    'exec timeout --foreground "$2" cat'
)
"""sshd makes every command the leader of a process group: here flock, our parent, so that one signal ends them all."""


@dataclass(frozen=True)
class Holder:
    """Who holds a host: run, person, since and until when at most (ISO 8601, UTC), for what, and its process there."""

    run: str
    by: str
    since: str
    until: str
    reason: str
    process: int

    def __str__(self) -> str:
        return (
            f"held by run {self.run} ({self.reason}, decided by {self.by}) since {self.since}, "
            f"until {self.until} at most"
        )


@contextmanager
def hold(host: Writer, run: str, by: str, reason: str, seconds: float) -> Iterator[None]:
    """Hold the host for at most `seconds`. `flock` keeps the lock while `cat` has our end open.

    Raises Held, saying who holds it since when and why.
    """
    now = datetime.now(UTC)
    until = (now + timedelta(seconds=seconds)).isoformat(timespec="seconds")
    owner = json.dumps(
        {"run": run, "by": by, "since": now.isoformat(timespec="seconds"), "until": until, "reason": reason}
    )
    # The holder says who it is in the very command that took the lock, before anybody else can be turned away.
    with host.session("flock", "--nonblock", LOCK, "sh", "-c", HOLD, "hold", owner, str(seconds)) as channel:
        try:
            answer = channel.recv(16)
        except (paramiko.SSHException, OSError) as error:
            raise HostUnreachable(f"{host.name}: no answer about the lock: {error}") from None
        if answer != b"held\n":
            raise Held(
                f"{host.name} is {_named_holder(host)}",
                next_step="wait until that run has ended, then run again; if it is dead: runbook lock status",
            )
        yield


def holder(host: Reader) -> Holder | None:
    """Who holds the host now, None if nobody."""
    process, _, owner = host.run("cat", "--", OWNER, check=False).stdout.partition("\n")
    if not process.isdigit():
        return None
    found = Holder(process=int(process), **json.loads(owner))
    # The file outlives its writer, and process numbers come again: the command line tells.
    command = host.run("cat", "--", f"/proc/{found.process}/cmdline", check=False).stdout
    return found if LOCK in command and found.run in command else None


def release(host: Writer, run: str, by: str, reason: str) -> Holder:
    """End the hold of a run that is taken for dead; who held it. To be called once its guard has undone it.

    Raises Conflict unless it is this run that holds the host.
    """
    found = holder(host)
    if found is None or found.run != run:
        who = str(found) if found else "held by nobody"
        raise Conflict(f"{host.name} is {who}, not by run {run}", next_step="runbook lock status")
    host.run("kill", "-TERM", "--", f"-{found.process}")
    host.run(
        "logger", "-t", "deliverability-runbook", "--", f"lock of run {run} released by {by}: {shlex.quote(reason)}"
    )
    return found


def _named_holder(host: Reader) -> str:
    for _ in range(OWNER_TRIES):
        if found := holder(host):
            return str(found)
        time.sleep(0.1)
    return "held by a run that has not said who it is"
