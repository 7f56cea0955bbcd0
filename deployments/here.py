"""A procedure in this very process, with its gate at this terminal; nothing has to be up for it."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from prefect import Flow

from deliverability.errors import RunbookError
from deployments import seed
from flows import conduct
from flows.conduct import admit
from reports.record import Record


def run(flow: Flow[Any, Any], estate: str, unattended: bool, say: Callable[[str], None], **parameters: Any) -> Record:
    """Run a procedure to its end; what it left. `parameters` are those that not every procedure has.

    Raises RunbookError if it did not begin, or ended without a record.
    """
    gc.freeze()
    gc.enable()  # a run may wait for days
    admit(estate, unattended)  # before Prefect starts for it, and without its traceback
    alone = "PREFECT_API_URL" not in os.environ
    if alone:
        say("Prefect starts for this run alone, about 10 s (`runbook up` keeps one running)")
    if "unattended" in flow.parameters.properties:  # a scheduled procedure asks nobody
        parameters["unattended"] = unattended
    try:
        state: Any = flow(estate=estate, **parameters, return_state=True)
        if alone:
            seed.keep(Path(os.environ["PREFECT_HOME"]))
    except httpx.HTTPError as error:
        return _without_server(error, say)
    record = state.data if isinstance(state.data, Record) else state.result(raise_on_failure=False)
    if isinstance(record, RunbookError):
        raise record
    if not isinstance(record, Record):
        raise RunbookError(f"the run ended as {state.name}: {state.message}")
    return record


def _without_server(error: httpx.HTTPError, say: Callable[[str], None]) -> Record:
    """How the run ended that Prefect could not be told about: its server died meanwhile, or was too busy."""
    words = str(error).partition("\n")[0]
    if conduct.ended is None:
        raise RunbookError(f"the Prefect server does not answer: {words}", next_step="runbook status") from error
    say(f"the Prefect server does not know how this run ended: {words}")
    return conduct.ended
