"""A PostgreSQL server of the rehearsal's root file system, for as long as it is needed."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from rehearsal import RehearsalError, process, rootfs

START_SECONDS = 30.0
TICKS = os.sysconf("SC_CLK_TCK")
# In a mount namespace of its own, which ends with us; its data and its socket are a folder of the machine.
ENTER = 'mount --rbind /dev "$1/dev" && mount --bind "$2" "$1/mnt" && shift 2 && exec "$@"'


class NoServer(Exception):
    """Why there is none."""


@dataclass(frozen=True)
class Server:
    folder: Path
    pid: int

    def database(self, name: str) -> str:
        """The address of a new database."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def seconds(self) -> float:
        """CPU of all its processes, those that have ended too."""
        ended = _ticks(self.pid)
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return (sum(ended) + sum(sum(_ticks(int(child))[:2]) for child in children)) / TICKS


def _ticks(pid: int) -> tuple[int, ...]:
    """utime, stime, and those of its children that have ended (proc(5))."""
    return tuple(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))


@contextmanager
def server() -> Iterator[Server]:
    """Raises NoServer."""
    try:
        tree = rootfs.ensure()
    except (RehearsalError, OSError) as error:
        raise NoServer(str(error)) from None
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        owner = (tree / "var/lib/postgresql").stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        (programs,) = (tree / "usr/lib/postgresql").glob("*/bin")
        inside = ["chroot", "--userspec=postgres:postgres", str(tree), "env", "-i", "LC_ALL=C.UTF-8"]
        enter = [*rootfs.CONTAINED, "sh", "-euc", ENTER, "sh", str(tree), str(folder), *inside]
        program = f"/{programs.relative_to(tree)}"
        made = subprocess.run(
            [*enter, f"{program}/initdb", "--auth=trust", "--pgdata=/mnt/data"], capture_output=True, text=True
        )
        if made.returncode:
            raise NoServer(made.stderr.strip().splitlines()[-1])
        command = [*enter, f"{program}/postgres", "-D", "/mnt/data", "-k", "/mnt", "-c", "listen_addresses="]
        with (folder / "log").open("w") as log:
            running = subprocess.Popen(command, stdout=log, stderr=log, text=True)
        try:
            yield Server(folder, _await(running, folder))
        finally:
            _end(running)
    except OSError as error:
        raise NoServer(str(error)) from None
    finally:
        shutil.rmtree(folder)


def _await(running: subprocess.Popen[str], folder: Path) -> int:
    """The process identifier of the server that takes connections."""
    deadline = time.monotonic() + START_SECONDS
    while running.poll() is None and time.monotonic() < deadline:
        if "ready to accept connections" in (folder / "log").read_text() and (pid := process.first_child(running)):
            return pid
        time.sleep(0.05)
    raise NoServer((folder / "log").read_text().strip() or "PostgreSQL did not start")


def _end(running: subprocess.Popen[str]) -> None:
    if pid := process.first_child(running, 1):
        os.kill(pid, signal.SIGINT)
    try:
        running.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()
