"""Background processes that outlive the command that started them, and are never mistaken for others.

A pid alone proves nothing: the kernel gives it to someone else later. A process is ours if its start time is the one
we wrote down, and a process group is ours if its members carry our home in their environment.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

STAT_GROUP = 2
STAT_START = 19
"""Fields of /proc/PID/stat after the command name."""


class Record(BaseModel):
    """A process that was started: `started` is in clock ticks since boot, `purpose` what it must be restarted for."""

    pid: int
    started: int
    purpose: str = ""


def start(
    name: str, home: Path, command: Sequence[str], environment: Mapping[str, str], cwd: Path, purpose: str = ""
) -> Record:
    """Start a process in a session of its own, its output going to HOME/NAME.log."""
    with (home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    record = Record(pid=process.pid, started=_stat(process.pid, STAT_START) or 0, purpose=purpose)
    # The process is meant to outlive us; without this Python warns that its object goes before it.
    process.returncode = 0
    fresh = home / f"{name}.pid.new"
    fresh.write_text(record.model_dump_json())
    fresh.replace(pid_file(name, home))
    return record


def running(name: str, home: Path) -> Record | None:
    """The process that was started under this name, if it is still that process and alive."""
    record = recorded(name, home)
    return record if record is not None and alive(record) else None


def recorded(name: str, home: Path) -> Record | None:
    try:
        return Record.model_validate(json.loads(pid_file(name, home).read_text()))
    except (OSError, ValueError):
        return None


def alive(record: Record) -> bool:
    _reap(record.pid)
    return record.started != 0 and _stat(record.pid, STAT_START) == record.started


def stop(name: str, home: Path, patience: float) -> bool:
    """End the process and all of its group: ask, wait up to `patience` seconds, kill. False if nothing was running."""
    record = recorded(name, home)
    pid_file(name, home).unlink(missing_ok=True)
    if record is None:
        return False
    members = _group(record, home)
    if alive(record):
        _signal(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while alive(record) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in _group(record, home):
        _signal(pid, signal.SIGKILL)
    while _group(record, home) and time.monotonic() < deadline + patience:
        time.sleep(0.05)
    return bool(members)


def pid_file(name: str, home: Path) -> Path:
    return home / f"{name}.pid"


def listener(port: int) -> str:
    """Who listens on a TCP port of the loopback interface, in words, for an error message."""
    for pid in _pids():
        if port in _listening(pid):
            name = _text(Path(f"/proc/{pid}/comm")).strip()
            return f"process {pid} ({name})"
    return "another process"


def _group(record: Record, home: Path) -> list[int]:
    """The live members of the process group that we started."""
    if alive(record):
        return [pid for pid in _pids() if _stat(pid, STAT_GROUP) == record.pid]
    # Its leader is gone. A group's number is not given away while it has members, but ours may have had none left.
    mark = f"PREFECT_HOME={home}".encode()
    return [pid for pid in _pids() if _stat(pid, STAT_GROUP) == record.pid and mark in _environment(pid)]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _pids() -> Iterable[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int, field: int) -> int | None:
    """A number of /proc/PID/stat; None for no process, or one that is dead and not yet buried."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[field]) if fields and fields[0] not in "ZX" else None


def _listening(pid: int) -> set[int]:
    """The loopback ports a process listens on, as this network namespace sees them."""
    sockets = {}
    for line in _text(Path("/proc/net/tcp")).splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            sockets[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    try:
        links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return set()
    return {sockets[link] for link in links if link in sockets}


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _reap(pid: int) -> None:
    """Bury the process if it was our own child; others' children are buried by their parents."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
