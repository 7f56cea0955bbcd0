"""The command line, forked from a process that has Prefect imported already: that import is most of a test's work.

`Desk.run` uses it. What a test starts, types at a terminal or kills is a process of its own, as an operator starts it.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

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

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], timeout: float) -> Done:
        """Run `runbook ARGUMENTS` without a terminal, and wait for its end."""
        request = json.dumps([list(arguments), dict(environment)]).encode()
        assert len(request) <= REQUEST_LIMIT
        with (
            tempfile.TemporaryFile("w+") as out,
            tempfile.TemporaryFile("w+") as err,
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line,
        ):
            line.settimeout(timeout)
            line.connect(str(self._socket))
            socket.send_fds(line, [request], [out.fileno(), err.fileno()])
            pid = int(line.recv(16))
            try:
                code = int(line.recv(16))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(["runbook", *arguments], code, out.read(), err.read())


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
    from deployments import rehearse, settings

    rehearse.join()
    settings.join(rehearse.prefect_home())
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    from deployments import approvals, here, server  # noqa: F401 - this is what it is for
    from flows import catalogue, lock  # noqa: F401

    serve(sys.argv[1])
