"""One real Prefect server and worker for the tests of a module, on a free loopback port, in a home of its own."""

import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from deliverability.decision import Decision
from deployments import approvals, processes, server

Seen = TypeVar("Seen")

HERE = Path(__file__).parent
PATIENCE = 90.0
QUICK = {"PREFECT_WORKER_QUERY_SECONDS": "0.5"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(look: Callable[[], Seen | None], what: Callable[[], object]) -> Seen:
    """The first true thing that `look` sees."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE:.0f} s: {what()}")


class Lab:
    """The server, and what a test does with the runs of the gated flow."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.url = server.up(home, port, extra=QUICK, prefect_file=HERE / "gated.yaml").url
        self.client: SyncPrefectClient = server.client(home)
        self.client.__enter__()

    def close(self) -> None:
        self.client.__exit__(None, None, None)
        server.down(self.home, patience=5)
        if complaints := (self.home / "server.log").read_text(errors="replace")[-4000:]:
            print(f"\nThe Prefect server of the tests said:\n{complaints}", file=sys.stderr)
        shutil.rmtree(self.home)

    def pid(self, name: str) -> int:
        record = processes.running(name, self.home)
        assert record is not None, f"{name} does not run"
        return record.pid

    def start(self, flow: str = "gated", **parameters: object) -> UUID:
        deployment = self.client.read_deployment_by_name(f"{flow}/test")
        return self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id

    def run(self, run: UUID) -> FlowRun:
        return self.client.read_flow_run(run)

    def state(self, run: UUID) -> str:
        state = self.run(run).state
        return f"{state.name}: {state.message}" if state else "none"

    def gate(self, run: UUID, without: str = "") -> approvals.Waiting:
        """The run's gate, once it is asking; `without` is a form that was answered and must not be taken for it."""

        def asking() -> approvals.Waiting | None:
            found = [one for one in approvals.waiting(self.home) if one.run == run]
            return found[0] if found and found[0].shown and found[0].shown != without else None

        return until(asking, lambda: f"{run} asks; it is {self.state(run)}")

    def answer(self, run: UUID, choice: str, digest: str = "", by: str = "Ann", reason: str = "") -> None:
        approvals.answer(str(run), choice, digest, by, reason, home=self.home)

    def resume(self, run: UUID, **form: str) -> None:
        """As the UI does: whatever is in the form, checked by nobody but Prefect."""
        result = self.client.resume_flow_run(run, run_input=form)
        assert result.status.value == "ACCEPT", result

    def ended(self, run: UUID) -> FlowRun:
        def ended() -> FlowRun | None:
            found = self.run(run)
            return found if found.state and found.state.is_final() else None

        return until(ended, lambda: f"{run} ends; it is {self.state(run)}")

    def decision(self, run: UUID) -> Decision:
        state = self.ended(run).state
        assert state is not None
        assert state.is_completed(), state
        return Decision.model_validate_json(state.message or "")


@contextmanager
def lab() -> Iterator[Lab]:
    """A lab of one module's tests: an idle Prefect server takes an eighth of a processor from the tests after it."""
    with closing(Lab(Path(tempfile.mkdtemp(prefix="runbook-prefect-")), free_port())) as made:
        yield made
