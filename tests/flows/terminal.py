"""A person at a terminal: a real pty, a child process that has it as its controlling terminal, and typed lines."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
OWN_THE_TERMINAL = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """Run Python code whose stdin and stderr are a terminal; its stdout is a pipe."""

    def __init__(self, code: str, environment: Mapping[str, str] | None = None) -> None:
        self._keyboard, screen = pty.openpty()
        self._seen = ""
        self._process = subprocess.Popen(
            [sys.executable, "-c", OWN_THE_TERMINAL + code],
            stdin=screen,
            stdout=subprocess.PIPE,
            stderr=screen,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        os.close(screen)

    def wait_for(self, text: str) -> str:
        """What was shown since the last wait, up to and including `text`."""
        deadline = time.monotonic() + PATIENCE
        while text not in self._seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} was not shown, but {self._seen!r}"
            if select.select([self._keyboard], [], [], left)[0]:
                self._seen += os.read(self._keyboard, 65536).decode(errors="replace")
        shown, _, self._seen = self._seen.partition(text)
        return shown + text

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def output(self) -> str:
        """The next line that the process writes to stdout."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], PATIENCE)[0], self._seen
        return self._process.stdout.readline().decode()

    def close(self) -> None:
        """End the process, if it has not ended."""
        self._process.kill()
        self._process.communicate()
        os.close(self._keyboard)
