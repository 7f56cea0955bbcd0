"""One change at a time per host: a lock that the host's own kernel keeps for as long as our connection lives."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import paramiko

from blocks.ssh_session import Writer
from deliverability.errors import Held, HostUnreachable

LOCK = "/run/lock/deliverability-runbook"
OWNER = f"{LOCK}.owner"
OWNER_TRIES = 10
HOLD = 'printf "%s\\n" "$1" >"$2.new" && mv "$2.new" "$2" && echo held; cat'


@contextmanager
def hold(host: Writer, run: str, by: str, reason: str) -> Iterator[None]:
    """Hold the host. `flock` keeps the lock while `cat` has our end open, so a dead run holds nothing.

    Raises Held, saying who holds it since when and why.
    """
    since = datetime.now(UTC).isoformat(timespec="seconds")
    owner = json.dumps({"run": run, "by": by, "since": since, "reason": reason})
    # The holder says who it is in the very command that took the lock, before anybody else can be turned away.
    with host.session("flock", "--nonblock", LOCK, "sh", "-c", HOLD, "hold", owner, OWNER) as channel:
        try:
            answer = channel.recv(16)
        except (paramiko.SSHException, OSError) as error:
            raise HostUnreachable(f"{host.name}: no answer about the lock: {error}") from None
        if answer != b"held\n":
            raise Held(
                f"{host.name} is held: {_owner(host)}", next_step="wait until that run has ended, then run again"
            )
        yield


def _owner(host: Writer) -> str:
    for _ in range(OWNER_TRIES):
        if said := host.run("cat", OWNER, check=False).stdout.strip():
            return said
        time.sleep(0.1)
    return "by a run that has not said who it is"
