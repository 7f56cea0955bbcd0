"""The state folder of an estate: who owns it, which ones are alive, and what dead runners left.

A folder is alive while its runner holds a lock on it. The kernel drops the lock when the runner ends, in whatever way,
so no process number has to be trusted.
"""

import fcntl
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rehearsal import leftovers
from rehearsal.errors import RehearsalError, RehearsalUnavailable

STATE_VARIABLE = "RUNBOOK_REHEARSAL_STATE"  # names the state folder, for commands run inside an estate
HOME = Path("/run/runbook-rehearsal")
PREFIX = "runbook-rehearsal-"
FACTS = "estate.json"


class Claim:
    """A fresh state folder and control group, ours until `release` or until this process ends."""

    def __init__(self) -> None:
        groups = cgroup_root()
        with home_lock():
            sweep(groups)
            self.state = HOME / secrets.token_hex(4)
            for folder in (self.state, self.state / "keys", self.state / "mail", self.state / "hosts"):
                folder.mkdir(mode=0o755)
            self._lock = lock_file(self.state).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.cgroup = groups / (PREFIX + self.state.name)
        try:
            self.cgroup.mkdir()
        except OSError as error:
            raise RehearsalUnavailable(
                f"cannot make a control group in {groups}: {error.strerror}: run as the machine's root, "
                "or in a privileged container"
            ) from error

    def release(self) -> None:
        leftovers.clear(self.state, self.cgroup)
        self._lock.close()


def lock_file(state: Path) -> Path:
    return state / "runner.lock"


def alive(state: Path) -> bool:
    try:
        with lock_file(state).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def running() -> list[Path]:
    """State folders of the estates that are ready and whose runner is alive, whoever started them, oldest first."""
    folders = [file.parent for file in HOME.glob(f"*/{FACTS}") if alive(file.parent)]
    return sorted(folders, key=lambda folder: folder.stat().st_ctime)


def sweep(groups: Path) -> None:
    """Remove what runners left that were killed together with their keeper."""
    for state in HOME.glob("*"):
        if state.is_dir() and not alive(state):
            leftovers.clear(state, groups / (PREFIX + state.name))
    for cgroup in groups.glob(PREFIX + "*"):
        state = HOME / cgroup.name.removeprefix(PREFIX)
        if not state.is_dir():
            leftovers.clear(state, cgroup)


@contextmanager
def home_lock() -> Iterator[IO[str]]:
    """A folder exists for an instant before its owner has locked it: sweeping and claiming take turns."""
    HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (HOME / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def cgroup_root() -> Path:
    """Where the machine has its version 2 control groups: systemd as pid 1 needs one of its own."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4])
    raise RehearsalUnavailable(
        "no cgroup2 file system is mounted: mkdir -p /sys/fs/cgroup/unified && "
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified"
    )


def write_facts(state: Path, facts: dict[str, Any]) -> None:
    """What another process needs to know of a running estate. Written when it is ready, not before."""
    fresh = state / f"{FACTS}.new"
    fresh.write_text(json.dumps(facts, indent=1))
    fresh.replace(state / FACTS)


def read_facts(state: Path) -> dict[str, Any]:
    if not alive(state) or not (state / FACTS).exists():
        raise RehearsalError(f"no rehearsal estate runs in {state}: start one: python -m rehearsal up")
    facts: dict[str, Any] = json.loads((state / FACTS).read_text())
    return facts
