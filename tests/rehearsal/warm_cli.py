"""The command line, forked from a process that has Prefect imported already: that import is most of a test's work.

Each command is a process of its own, to be waited for or killed like any other. What a test types at a terminal is not
forked but started, as an operator starts it.
"""

import atexit
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

from estate_probes import PROJECT

from rehearsal import STATE_VARIABLE, Estate
from rehearsal.hosts import Done

REQUEST_LIMIT = 1 << 17
"""Bytes of arguments and environment."""


class WarmCli:
    """One such process, in an estate's hub; it ends with the estate."""

    def __init__(self, estate: Estate) -> None:
        self._socket = estate.state / "warm-cli"
        environment = os.environ | {STATE_VARIABLE: str(estate.state)}
        argv = [sys.executable, __file__, str(self._socket)]
        path = os.pathsep.join([str(PROJECT), str(Path(__file__).parent)])
        self._process = estate.hub_popen(
            argv,
            env=environment | {"PYTHONPATH": path},
            cwd=PROJECT,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        atexit.register(self._end)

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> Done:
        """Run `runbook ARGUMENTS` without a terminal, and wait for its end."""
        with self.start(arguments, environment) as started:
            out, err = started.communicate(timeout)
            return subprocess.CompletedProcess(["runbook", *arguments], started.returncode, out, err)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> "Started":
        """Run `runbook ARGUMENTS` without a terminal, and do not wait."""
        request = json.dumps([list(arguments), dict(environment)]).encode()
        assert len(request) <= REQUEST_LIMIT
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.connect(str(self._socket))
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        socket.send_fds(line, [request], [out_end, err_end])
        os.close(out_end)
        os.close(err_end)
        return Started(line, os.fdopen(out), os.fdopen(err))


class Started:
    """A command under way, to be used as a subprocess.Popen."""

    def __init__(self, line: socket.socket, stdout: TextIO, stderr: TextIO) -> None:
        self._line = line
        self.stdout = stdout
        self.stderr = stderr
        self.pid = int(line.recv(16))
        self.returncode: int | None = None

    def __enter__(self) -> "Started":
        return self

    def __exit__(self, *exc: object) -> None:
        if self.poll() is None:
            self.kill()
        self._close()

    def _close(self) -> None:
        self._line.close()
        self.stdout.close()
        self.stderr.close()

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._line], [], [], 0)[0]:
            self.wait(0.1)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises TimeoutError."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            self.returncode = int(self._line.recv(16))
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """The rest of what it says, once it has ended; one that takes longer than `timeout` seconds is killed."""
        with ThreadPoolExecutor(2) as pool:
            texts = [pool.submit(pipe.read) for pipe in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except TimeoutError:
                self.kill()
                raise
            told = texts[0].result(), texts[1].result()
        self._close()
        return told

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def serve(path: str) -> None:
    """Wait for requests, each answered by a child of its own."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(path)
        door.listen(64)
        print("ready", flush=True)
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                answer(line)
            line.close()


def answer(line: socket.socket) -> None:
    """Fork the command, say its pid, and then its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, files, _, _ = socket.recv_fds(line, REQUEST_LIMIT, 2)
    pid = os.fork()
    if pid == 0:
        line.close()
        command(*json.loads(request), files)
    line.send(b"%d" % pid)
    line.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os._exit(0)


def command(arguments: list[str], environment: dict[str, str], files: Sequence[int]) -> None:
    """Be `runbook ARGUMENTS`."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()
    sys.argv = ["runbook", *arguments]
    cli.main()


if __name__ == "__main__":
    import cli
    from deployments import entry

    entry.enter("rehearsal")
    from deployments import approvals, here, server  # noqa: F401 - this is what it is for
    from flows import catalogue, lock  # noqa: F401

    for name in catalogue.PROCEDURES:
        catalogue.find(name)

    serve(sys.argv[1])
