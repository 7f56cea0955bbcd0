"""Progress of many things: an artifact of the run in Prefect, lines for whoever watches."""

import time
from typing import Any

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.progress import Progress

SAID_EVERY_SECONDS = 2.0


class Counted:
    def __init__(self, total: int, what: str, shown_from: int) -> None:
        """Nothing is shown of fewer than `shown_from`."""
        self._total = total
        self._what = what
        self._done = 0
        self._lines = Progress()
        self._said = time.monotonic()
        shown = total >= shown_from
        self._artifact: Any = create_progress_artifact(0.0, description=f"{total} {what}") if shown else None

    def step(self) -> None:
        self._done += 1
        late = time.monotonic() - self._said > SAID_EVERY_SECONDS
        if self._artifact is not None and (late or self._done == self._total):
            percent = 100 * self._done / self._total
            update_progress_artifact(self._artifact, percent)
            self._lines.step("fetch", f"{self._done} of {self._total} {self._what}, {percent:.0f} %")
            self._said = time.monotonic()
