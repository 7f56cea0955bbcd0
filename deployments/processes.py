"""Background processes that outlive the command that started them, and are never mistaken for others.

A pid alone proves nothing: the kernel gives it to someone else later. A process is ours if its start time is the one
we wrote down; its descendants are ours if they carry the mark that we put into its environment.
"""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

STAT_START = 19
"""The field of /proc/PID/stat, after the command name, that holds the start time."""

MARK = "RUNBOOK_BACKGROUND"


class Record(BaseModel):
    """A process that was started: `started` is in clock ticks since boot, `mark` is in its environment and in that of
    all its descendants, `purpose` is what it must be restarted for when it changes.
    """

    pid: int
    started: int
    mark: str
    purpose: str = ""


def start(
    name: str, home: Path, command: Sequence[str], environment: Mapping[str, str], cwd: Path, purpose: str = ""
) -> Record:
    """Start a process in a session of its own, its output going to HOME/NAME.log."""
    before = recorded(name, home)
    # What a dead predecessor left running (flow runs) finishes by itself, and is still known to `stop`.
    mark = before.mark if before is not None else f"{name}-{secrets.token_hex(8)}"
    with (home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**environment, MARK: mark},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    record = Record(pid=process.pid, started=_started(process.pid) or 0, mark=mark, purpose=purpose)
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
    return record.started != 0 and _started(record.pid) == record.started


def stop(name: str, home: Path, patience: float) -> bool:
    """End the process and all it started: ask it, wait up to `patience` seconds, kill what is left.

    False if nothing was running.
    """
    record = recorded(name, home)
    if record is None:
        return False
    found = bool(members(record))
    if alive(record):
        _signal(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while alive(record) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left := members(record):
        for pid in left:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.05)
    pid_file(name, home).unlink(missing_ok=True)
    return found


def members(record: Record) -> list[int]:
    """The live processes that carry the record's mark: the process itself and all that descend from it."""
    mark = f"{MARK}={record.mark}".encode()
    return [pid for pid in _pids() if mark in _environment(pid) and _started(pid) is not None]


def pid_file(name: str, home: Path) -> Path:
    return home / f"{name}.pid"


def listener(port: int) -> str:
    """Who listens on a TCP port of the loopback interface, in words, for an error message."""
    for pid in _pids():
        if port in _listening(pid):
            name = _text(Path(f"/proc/{pid}/comm")).strip()
            return f"process {pid} ({name})"
    return "another process"


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _pids() -> Iterable[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _started(pid: int) -> int | None:
    """When a process started; None for no process, or one that is dead and not yet buried."""
    fields = _text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[STAT_START]) if fields and fields[0] not in "ZX" else None


def _listening(pid: int) -> set[int]:
    """The loopback ports a process listens on, as this network namespace sees them."""
    sockets = {}
    for line in _text(Path("/proc/net/tcp")).splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            sockets[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    found = set()
    with contextlib.suppress(PermissionError, FileNotFoundError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since the folder was read
                found.add(sockets.get(str(link.readlink()), 0))
    return found - {0}


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
