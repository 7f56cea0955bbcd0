"""A rehearsal: the estate, and in its network the same commands an operator would type."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deliverability.errors import FINDINGS, EstateError, RehearsalError
from deliverability.estate import load
from deployments import settings
from deployments.scenes import set_the_scene, start_listmonk
from flows.opening import estate_file
from rehearsal import Estate, assert_isolated, enter, running
from rehearsal.progress import stopwatch
from reports import store

STATE_VARIABLE = "RUNBOOK_REHEARSAL_STATE"
NAME = "rehearsal"
KEPT = "kept"

Progress = Callable[[str], None]


def is_one(estate: str) -> bool:
    """Whether an estate, by its name or file, is a rehearsal. What cannot be read is for whoever opens it to report."""
    try:
        return load(estate_file(estate)).rehearsal
    except EstateError:
        return False


def join() -> None:
    """Move this process into the network of the rehearsal that is kept running, unless it is in one already.

    $RUNBOOK_REHEARSAL_STATE chooses among several. Has to come first in a process, before it has threads. Raises
    RehearsalError if none runs, or several do.
    """
    try:
        assert_isolated()
    except RehearsalError:
        state = Path(os.environ.get(STATE_VARIABLE) or _only_kept())
        enter(state)
        os.environ[STATE_VARIABLE] = str(state)


def _only_kept() -> Path:
    found = [state for state in running() if (state / KEPT).exists()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RehearsalError("no rehearsal estate is kept running", next_step="runbook rehearse --keep")
    raise RehearsalError(
        f"{len(found)} rehearsal estates are kept running",
        next_step=f"export {STATE_VARIABLE}={found[0]}   # or another",
    )


def prefect_home(state: Path | None = None) -> Path:
    """A rehearsal has a Prefect of its own, which ends with it."""
    return (state or Path(os.environ[STATE_VARIABLE])) / "prefect"


def once(procedure: str, attended: bool) -> int:
    """Start the estate, run a procedure in it, stop it; the exit code of the run. Raises RehearsalError."""
    command = [sys.executable, "-m", "cli", "run", procedure, "--estate", NAME]
    with Estate(stopwatch()) as estate:
        scene = set_the_scene(estate, procedure)
        environment = os.environ | {STATE_VARIABLE: str(estate.state)}
        code = _run_in_hub(estate, command if attended else [*command, "--unattended"], environment)
        if scene is None or scene.outcome is None:
            return code
        print(scene.outcome(store.var()), file=sys.stderr)
        return 0 if code == FINDINGS else code  # that there is something to find is part of the scene


def keep(procedure: str | None, port: int, say: Progress) -> int:
    """Start estate, server and worker, publish the UI on this machine's loopback, and wait for Ctrl-C."""
    with Estate(stopwatch()) as estate:
        environment = os.environ | {STATE_VARIABLE: str(estate.state)}
        up = [sys.executable, "-m", "cli", "up", "--estate", NAME, "--port", str(port)]
        if code := _run_in_hub(estate, up, environment):
            return code
        estate.publish(port)
        (estate.state / KEPT).touch()
        start_listmonk(estate)  # who clicks about may choose any procedure
        if procedure is not None:
            set_the_scene(estate, procedure)
            _run_in_hub(estate, [sys.executable, "-m", "cli", "run", procedure, "--estate", NAME], environment)
        login = settings.auth_file(prefect_home(estate.state)).read_text().strip()
        say(f"UI         http://127.0.0.1:{port}   log in with {login}")
        say("elsewhere  runbook plan snowshoe-cleanup --estate rehearsal; runbook approvals --estate rehearsal")
        say("Ctrl-C ends everything")
        _await_the_end()
    return 0


def _await_the_end() -> None:
    """Until Ctrl-C or SIGTERM; either way the estate is stopped in order."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return


def _run_in_hub(estate: Estate, command: list[str], environment: dict[str, str]) -> int:
    child: subprocess.Popen[bytes] = estate.hub_popen(command, env=environment)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # The terminal sent it to the child as well: how the run ends is the child's to say.
            continue
