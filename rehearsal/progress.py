"""Progress lines on stderr, stamped with the seconds since the work began."""

import sys
import time
from collections.abc import Callable

Progress = Callable[[str], None]


def stopwatch() -> Progress:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {text}", file=sys.stderr, flush=True)

    return say


def silent(text: str) -> None:
    """For those who want no progress lines."""
