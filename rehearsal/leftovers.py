"""Removes all of an estate: its processes, control groups and state folder. Also the keeper that does so on a crash.

Every process of an estate lives in the estate's control group, so one write kills them all, whatever they forked.
Run as a script, `leftovers.py PID STATE CGROUP` is the keeper: it waits for the runner PID to end, in whatever way, and
then clears up. It watches a pidfd, not a pipe or PR_SET_PDEATHSIG: a pipe's end can be inherited by a fork, and the
death signal is tied to one thread of the parent.

This file imports nothing of ours, so that the keeper starts in milliseconds.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path


def clear(state: Path, cgroup: Path) -> None:
    kill_all(cgroup)
    remove_groups(cgroup)
    shutil.rmtree(state, ignore_errors=True)


def kill_all(cgroup: Path, seconds: float = 5) -> None:
    """Kill every process of this group and of the groups below it, and wait until they are gone."""
    deadline = time.monotonic() + seconds
    while populated(cgroup) and time.monotonic() < deadline:
        try:
            (cgroup / "cgroup.kill").write_text("1")
        except OSError:
            return
        time.sleep(0.01)


def populated(cgroup: Path) -> bool:
    """Whether a process lives in this group or below it."""
    try:
        return "populated 1" in (cgroup / "cgroup.events").read_text()
    except OSError:  # removed
        return False


def remove_groups(cgroup: Path, seconds: float = 2) -> None:
    """A control group can be removed a moment after its last process ended, and only from the leaves up."""
    deadline = time.monotonic() + seconds
    while cgroup.is_dir():
        for folder, _, _ in os.walk(cgroup, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)


def keep(runner: int, state: Path, cgroup: Path) -> None:
    """Wait for the runner to end, then clear. The line printed says that from now on nothing can be missed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the runner, whose end is what we wait for
    watch = os.pidfd_open(runner)
    print("watching", flush=True)
    select.select([watch], [], [])
    clear(state, cgroup)


if __name__ == "__main__":
    keep(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
