"""The local Prefect: a server and a worker as background processes of this machine.

`up` brings both to life and registers the deployments of prefect.yaml; `down` ends them; `status` looks. All of it
may be done any number of times, and in any network namespace: only the loopback interface is used.
"""

import fcntl
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from pydantic import BaseModel

from deliverability.errors import ServerError
from deployments import processes, seed, settings
from deployments.settings import LOOPBACK, POOL, PORT, ROOT, environment

__all__ = ["PORT", "Status", "client", "down", "environment", "status", "up"]

HEALTHY_WITHIN = 120.0
"""Seconds for the server's first answer: a first start creates the database, on a slow disk not quickly."""

PATIENCE = 10.0
"""Seconds a process has to end by itself."""

RUNS_AT_ONCE = 5

Progress = Callable[[str], None]


class Status(BaseModel):
    """What runs: process ids (None: not running), whether the server answers, where its UI and its login are."""

    home: Path
    url: str
    server: int | None
    worker: int | None
    healthy: bool

    @property
    def up(self) -> bool:
        return self.healthy and self.server is not None and self.worker is not None

    @property
    def login_file(self) -> Path:
        """The file with USER:PASSWORD for the UI."""
        return settings.auth_file(self.home)


def up(
    home: Path | None = None,
    port: int = PORT,
    *,
    extra: Mapping[str, str] | None = None,
    say: Progress = lambda text: None,
    prefect_file: Path = ROOT / "prefect.yaml",
) -> Status:
    """Start what is not running, register the deployments, and wait until all is well.

    `extra` is added to the environment of the worker and so of every flow run; a worker that runs with another one is
    restarted. Raises ServerError.
    """
    home = (home or settings.default_home()).resolve()
    variables = {**os.environ, **environment(home, port), **(extra or {})}
    with _turn(home):
        _start_server(home, port, variables, say)
        _await_health(home, port, say)
        seed.keep(home)
        _make_pool(home, port)
        _start_worker(home, extra or {}, variables, say)
        register(variables, say, prefect_file)
        _await_worker(home, port, say)
    return status(home)


def down(home: Path | None = None, *, patience: float = PATIENCE, say: Progress = lambda text: None) -> None:
    """End worker and server and whatever flow runs they have; suspended runs wait in the database.

    A flow run has `patience` seconds to end; a change that is cut off is undone by the guard on its host.
    """
    home = (home or settings.default_home()).resolve()
    if not home.is_dir():
        return
    with _turn(home):
        for name in ("worker", "server"):
            if processes.stop(name, home, patience):
                say(f"{name} stopped")


def status(home: Path | None = None) -> Status:
    """What runs in a home. Starts and changes nothing."""
    home = (home or settings.default_home()).resolve()
    port = settings.port_of(home)
    server = processes.running("server", home)
    worker = processes.running("worker", home)
    return Status(
        home=home,
        url=settings.url(port),
        server=server and server.pid,
        worker=worker and worker.pid,
        healthy=server is not None and _healthy(port),
    )


def client(home: Path | None = None) -> SyncPrefectClient:
    """A client for the server of this home, or for the one that PREFECT_API_URL names. Raises ServerError."""
    if home is None and "PREFECT_API_URL" in os.environ:
        return SyncPrefectClient(
            os.environ["PREFECT_API_URL"], auth_string=os.environ.get("PREFECT_API_AUTH_STRING") or None
        )
    now = status(home)
    if not now.healthy:
        raise ServerError(f"no Prefect server runs in {now.home}", next_step="runbook up")
    return _client(now.home, settings.port_of(now.home))


def register(variables: Mapping[str, str], say: Progress, prefect_file: Path) -> None:
    """Make the server's deployments those of prefect.yaml. Raises ServerError with Prefect's own words."""
    began = time.monotonic()
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(prefect_file)]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(variables), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        words = (done.stdout + done.stderr).strip()[-2000:]
        raise ServerError(f"the deployments were not registered: {words}", next_step=f"correct {prefect_file}")
    say(f"deployments registered  {time.monotonic() - began:.1f} s")


def _start_server(home: Path, port: int, variables: Mapping[str, str], say: Progress) -> None:
    if processes.running("server", home) is not None:
        if settings.port_of(home) != port:
            raise ServerError(
                f"the server in {home} runs on port {settings.port_of(home)}, not on {port}", next_step="runbook down"
            )
        return
    _refuse_taken(port)
    (home / "port").write_text(f"{port}\n")
    seed.plant(home)
    # What `prefect server start --background` runs, without the command line around it: two seconds less.
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    command += ["--host", LOOPBACK, "--port", str(port), "--timeout-keep-alive", "5", "--log-level", "warning"]
    processes.start("server", home, command, {**variables, "PREFECT__SERVER_FINAL": "1"}, home)
    say(f"server starts at {settings.url(port)}")


def _start_worker(home: Path, extra: Mapping[str, str], variables: Mapping[str, str], say: Progress) -> None:
    purpose = json.dumps(dict(extra), sort_keys=True)
    worker = processes.running("worker", home)
    if worker is not None and worker.purpose == purpose:
        return
    if worker is not None:
        processes.stop("worker", home, PATIENCE)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
    command += ["--limit", str(RUNS_AT_ONCE), "--name", "runbook"]
    processes.start("worker", home, command, variables, ROOT, purpose)
    say("worker starts")


def _await_health(home: Path, port: int, say: Progress) -> None:
    began = time.monotonic()
    while not _healthy(port):
        if processes.running("server", home) is None:
            raise ServerError(f"the server ended at once: {_tail(home / 'server.log')}", next_step="runbook status")
        if time.monotonic() - began > HEALTHY_WITHIN:
            raise ServerError(
                f"the server did not answer within {HEALTHY_WITHIN:.0f} s: {_tail(home / 'server.log')}",
                next_step=f"less {home / 'server.log'}",
            )
        time.sleep(0.1)
    say(f"server answers  {time.monotonic() - began:.1f} s")


def _await_worker(home: Path, port: int, say: Progress) -> None:
    """Wait until the server has heard of the worker."""
    began = time.monotonic()
    with _client(home, port) as connection:
        while not _online(connection):
            if processes.running("worker", home) is None:
                raise ServerError(f"the worker ended at once: {_tail(home / 'worker.log')}", next_step="runbook up")
            if time.monotonic() - began > HEALTHY_WITHIN:
                raise ServerError("the worker is not seen by the server", next_step=f"less {home / 'worker.log'}")
            time.sleep(0.1)
    say(f"worker is ready  {time.monotonic() - began:.1f} s")


def _online(connection: SyncPrefectClient) -> bool:
    answer = connection.request(
        "POST", "/work_pools/{work_pool_name}/workers/filter", path_params={"work_pool_name": POOL}, json={}
    )
    return any(worker["status"] == "ONLINE" for worker in answer.json())


def _make_pool(home: Path, port: int) -> None:
    with _client(home, port) as connection, suppress(ObjectAlreadyExists):
        connection.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


def _client(home: Path, port: int) -> SyncPrefectClient:
    return SyncPrefectClient(
        f"{settings.url(port)}/api", auth_string=settings.auth(home), httpx_settings={"trust_env": False}
    )


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ServerError(
                f"port {port} on {LOOPBACK} is taken by {processes.listener(port)}",
                next_step="end it, or choose another port: runbook up --port PORT",
            ) from error


def _tail(log: Path, lines: int = 5) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "no log"


@contextmanager
def _turn(home: Path) -> Iterator[None]:
    """One `up` or `down` of a home at a time."""
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
