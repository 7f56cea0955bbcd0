"""One change at a time per host: a lock that the host's own kernel keeps for as long as our connection lives."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import paramiko

from blocks.ssh_session import Writer
from deliverability.errors import Held, HostUnreachable

LOCK = "/run/lock/deliverability-runbook"
OWNER = f"{LOCK}.owner"


@contextmanager
def hold(host: Writer, run: str, by: str, reason: str) -> Iterator[None]:
    """Hold the host. `flock` keeps the lock while `cat` has our end open, so a dead run holds nothing.

    Raises Held, saying who holds it since when and why.
    """
    with host.session("flock", "--nonblock", LOCK, "sh", "-c", "echo held; cat") as channel:
        try:
            answer = channel.recv(16)
        except (paramiko.SSHException, OSError) as error:
            raise HostUnreachable(f"{host.name}: no answer about the lock: {error}") from None
        if answer != b"held\n":
            raise Held(
                f"{host.name} is held: {_owner(host)}", next_step="wait until that run has ended, then run again"
            )
        since = datetime.now(UTC).isoformat(timespec="seconds")
        host.write_text(OWNER, json.dumps({"run": run, "by": by, "since": since, "reason": reason}) + "\n", mode=0o644)
        yield


def _owner(host: Writer) -> str:
    result = host.run("cat", OWNER, check=False)
    return result.stdout.strip() or "by a run that has not said who it is yet"
