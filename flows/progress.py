"""One line for each step, on stderr for a person at a terminal and in the run's log for Prefect."""

import logging
import sys
import time

from prefect import get_run_logger
from prefect.context import FlowRunContext

from deliverability.errors import RunbookError
from reports.render import visible


class _Visible(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


class Expected(logging.Filter):
    """Leaves out where an error of our own was raised: the run says what it is, and what to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], RunbookError):
            record.exc_info = None
        return True


def show_warnings() -> None:
    """Show on stderr what a connection has to say while one waits for it, such as that its host does not answer.

    Under a worker Prefect puts the same into the run's log (PREFECT_LOGGING_EXTRA_LOGGERS).
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Visible("%(message)s"))
    logging.getLogger("runbook").addHandler(handler)
    logging.getLogger("runbook").propagate = False  # Prefect's own console would show it again
    # A traceback for every event that a dead server is not told is nothing to read beside a run's own steps.
    logging.getLogger("prefect._internal").setLevel(logging.CRITICAL)
    logging.getLogger("prefect.task_runs").addFilter(Expected())


def words(error: BaseException) -> str:
    """What an error says; some, such as a Ctrl-C, say nothing."""
    return str(error) or type(error).__name__


class Progress:
    """Steps with the seconds since the run's first line."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, name: str, text: str) -> None:
        line = visible(f"{name}  {text}")
        context = FlowRunContext.get()
        if context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None:
            get_run_logger().info(line)
        else:
            print(f"[{time.monotonic() - self._began:5.1f} s] {line}", file=sys.stderr, flush=True)

    def show(self, text: str) -> None:
        """A longer text that somebody should see now, such as a plan that nobody will be asked about."""
        print(visible(text), file=sys.stderr, flush=True)
