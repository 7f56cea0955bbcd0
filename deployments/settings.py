"""The settings of the local Prefect: one folder, one port on the loopback interface, one password, nothing sent out."""

import contextlib
import os
import secrets
from pathlib import Path

from deployments import processes, seed

ROOT = Path(__file__).resolve().parent.parent
PORT = 4200
LOOPBACK = "127.0.0.1"
POOL = "runbook"
USER = "runbook"


def default_home() -> Path:
    """`var/prefect` under the project; the environment's RUNBOOK_VAR names another `var`."""
    return Path(os.environ.get("RUNBOOK_VAR") or ROOT / "var").resolve() / "prefect"


def environment(home: Path, port: int = PORT) -> dict[str, str]:
    """What server, worker, clients and flow runs of this home have in their environment.

    Makes the home (mode 0700) and its password file (0600) at the first call.
    """
    home = home.resolve()
    login = auth(home)
    return {
        "RUNBOOK_ROOT": str(ROOT),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{url(port)}/api",
        # Without a password any web page that an operator opens could answer gates and read secrets on this port.
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url(port),
        "PREFECT_SERVER_API_HOST": LOOPBACK,
        "PREFECT_SERVER_API_PORT": str(port),
        # The default store keeps leases in memory: a restart of the server would leak every slot that is held.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_CLI_PROMPT": "false",
        # Prefect's clients would carry the password to a proxy that the operator has for the web.
        "NO_PROXY": _without_proxy("NO_PROXY"),
        "no_proxy": _without_proxy("no_proxy"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        # What a connection says while one waits for it belongs to the run's log, if there is a run.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "runbook",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        **QUIET,
    }


QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # The second UI asks an analytics host for its configuration on every page, whatever the settings say.
    "PREFECT_SERVER_UI_V2_ENABLED": "false",
}
"""Every channel on which Prefect talks to its makers, closed."""


def _without_proxy(variable: str) -> str:
    return ",".join(filter(None, [os.environ.get(variable), LOOPBACK, "localhost"]))


def url(port: int) -> str:
    """The address of the UI, without a slash at the end."""
    return f"http://{LOOPBACK}:{port}"


def port_of(home: Path) -> int:
    """The port that this home's server was started on, PORT if it never was."""
    try:
        return int((home / "port").read_text())
    except (OSError, ValueError):
        return PORT


def join(home: Path) -> None:
    """Give this process the settings for its Prefect: the server of `home` if it runs, else one of its own.

    Prefect reads its settings when it is first imported: this has to come before.
    """
    if processes.running("server", home) is not None:
        os.environ.update(environment(home, port_of(home)))
        return
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    seed.plant(home)
    os.environ.update({"PREFECT_HOME": str(home), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120", **QUIET})


def auth(home: Path) -> str:
    """USER:PASSWORD of this home's server, made at the first call."""
    path = auth_file(home)
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.chmod(0o700)
        fresh = home / f"{path.name}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{USER}:{secrets.token_urlsafe(24)}\n")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)  # the first one wins, and nobody ever sees half a file
        fresh.unlink()
    return path.read_text().strip()


def auth_file(home: Path) -> Path:
    return home / "auth"
