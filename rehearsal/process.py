"""Starting, entering and calling processes of an estate."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from rehearsal.errors import HostFailed

# In the host, not the caller's: its PATH, locale and secrets are of no concern there.
HOST_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


def in_group(cgroup: Path, argv: Sequence[str]) -> list[str]:
    """The command line that first joins a control group, and only then becomes argv: no child can escape it."""
    return ["/bin/sh", "-c", 'echo $$ >"$0" && exec "$@"', str(cgroup / "cgroup.procs"), *argv]


def spawn(cgroup: Path, argv: Sequence[str], console: IO[str] | int | None = None) -> subprocess.Popen[str]:
    """A background process of the estate. In a session of its own, so that Ctrl-C reaches the runner alone."""
    cgroup.mkdir(exist_ok=True)
    return subprocess.Popen(
        in_group(cgroup, argv),
        stdin=subprocess.DEVNULL,
        stdout=console or subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


def in_network(pid: int, argv: Sequence[str]) -> list[str]:
    """The machine's files, the network of `pid`."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv]


def call(
    argv: Sequence[str], input: str | None = None, timeout: float = 30, **popen: Any
) -> subprocess.CompletedProcess[str]:
    """subprocess.run, but a timeout also ends the children of argv: nsenter has one, and it holds the pipes open."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        text=True,
        start_new_session=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen},
    )
    try:
        out, err = process.communicate(input, timeout)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(argv, process.returncode, out, err)


def must(argv: Sequence[str], input: str | None = None) -> str:
    done = call(argv, input)
    if done.returncode != 0:
        raise HostFailed(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def first_child(process: subprocess.Popen[str], seconds: float = 10) -> int | None:
    """The process that `unshare --fork` started: pid 1 of the host. None if it did not come to that."""
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # it is ending
            if children := listing.read_text().split():
                return int(children[0])
        time.sleep(0.002)
    return None


def has_own_network(process: subprocess.Popen[str], seconds: float = 10) -> bool:
    """Wait until the process left the machine's network. A cable plugged in before would end in the machine."""
    ours = Path("/proc/self/ns/net").readlink()
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # it is ending
            if Path(f"/proc/{process.pid}/ns/net").readlink() != ours:
                return True
        time.sleep(0.002)
    return False
