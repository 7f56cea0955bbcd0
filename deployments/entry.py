"""How the process of a command begins and ends.

It imports Prefect nowhere: Prefect reads its settings when it is imported, and `enter` makes them.
"""

import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import typer

from deliverability.errors import RunbookError
from reports.terminal import err

UsageError: Any = typer.BadParameter.__mro__[1]
"""Typer's own base of all wrong usage, which it does not export; its exit code 2 would mean "changes pending" here."""

USAGE = 64
INTERRUPTED = 130
LEAVE_SECONDS = 15.0


def main(app: typer.Typer) -> None:
    """Run the command that was typed, and end the process with its exit code."""
    # Prefect's import makes a million objects that stay: to search them for garbage is a tenth of a command's start.
    gc.disable()
    code = run(app, sys.argv[1:])
    # At its exit Prefect tells its server the last events; a server that died meanwhile it would tell for minutes.
    sys.stdout.flush()
    leave = threading.Timer(LEAVE_SECONDS, os._exit, [code])
    leave.daemon = True
    leave.start()
    sys.exit(code)


def run(app: typer.Typer, arguments: list[str]) -> int:
    """Every way a command can end, as an exit code; what went wrong is said on stderr."""
    try:
        result = typer.main.get_command(app).main(arguments, prog_name="runbook", standalone_mode=False)
    except UsageError as error:
        error.show()
        return USAGE
    except (typer.Abort, KeyboardInterrupt):
        err.print("interrupted")
        return INTERRUPTED
    except RunbookError as error:
        from reports.render import visible

        err.print(visible(str(error)), style="red", markup=False)
        return error.exit_code
    return result if isinstance(result, int) else 0


def enter(estate: str) -> Path:
    """The Prefect home that goes with an estate, with this process made ready for it; before Prefect is imported.

    For the rehearsal that includes the way into its network.
    """
    from deployments import rehearse as rehearsals
    from deployments import settings

    if rehearsals.is_one(estate):
        rehearsals.join()
        home = rehearsals.prefect_home()
    else:
        home = settings.default_home()
    settings.join(home)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    from flows import progress

    progress.show_warnings()
    return home
