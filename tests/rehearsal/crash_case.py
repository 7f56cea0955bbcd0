"""One case of the crash matrix: a run is hit at a point, and what becomes of the host is seen from outside."""

import itertools
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol
from uuid import UUID

from crash_points import UNITS, Point, Traces
from estate_probes import inject, until

from deployments import server
from deployments.rehearse import prefect_home
from estates import PATIENCE, PROCEDURE, Desk, bring_up
from rehearsal import Estate

GUARD_MINUTES = 0.5
LIMIT = 300.0
"""Seconds from the blow until everything must have ended by itself; what takes longer counts as hanging.

Prefect's client tries a dead server for four minutes."""

REACH_SECONDS = 90.0
PORTS = {25: ("207.174.124.94", "mta05.performancewest.net"), 2526: ("207.174.124.107", "hcmta01.performancewest.net")}
"""The ports of the streams, and from where with which HELO their mail has to arrive."""

OLD, NEW, HALF = "old", "new", "half-changed"
_letters = itertools.count()


class Run(Protocol):
    """A run under test, however it was started."""

    def alive(self) -> bool: ...

    def kill(self) -> None: ...

    def said(self) -> str:
        """The end of what it said, once it is dead."""
        ...


class Typed:
    """A run at the command line."""

    def __init__(self, desk: Desk) -> None:
        self._process = desk.start("run", "--unattended")

    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        return "".join(self._process.communicate())[-3000:]


class Deployed:
    """A run of the worker's, created at the server as its UI does it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._id = str(desk.in_hub(self._create))
        assert until(lambda: self._pids(), REACH_SECONDS), "the worker did not start the run"

    def alive(self) -> bool:
        return bool(self._pids())

    def kill(self) -> None:
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def said(self) -> str:
        return ""

    def _create(self) -> UUID:
        with server.client(prefect_home(self._desk.estate.state)) as client:
            deployment = client.read_deployment_by_name(f"{self._desk.procedure}/rehearsal")
            parameters: Mapping[str, Any] = {"estate": self._desk.file, "unattended": True}
            return client.create_flow_run_from_deployment(deployment.id, parameters=dict(parameters)).id

    def _pids(self) -> list[int]:
        """Of the processes that carry out this flow run, which have its id in their environment."""
        mark = f"PREFECT__FLOW_RUN_ID={self._id}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found


def revive(desk: Desk) -> None:
    """Server and worker, if the case before killed one of them."""
    now = server.status(prefect_home(desk.estate.state))
    if now.server is None or now.worker is None:
        bring_up(desk.estate)


def kill_process(desk: Desk, name: Literal["server", "worker"]) -> None:
    pid = getattr(server.status(prefect_home(desk.estate.state)), name)
    assert pid is not None, f"no {name} runs"
    os.kill(pid, signal.SIGKILL)


@dataclass
class Scene:
    """What a blow may act on."""

    desk: Desk
    run: Run
    seen: Traces
    mends: list[Callable[[], None]] = field(default_factory=list)
    """What is mended only once all has settled."""

    def await_end(self, seconds: float = LIMIT) -> bool:
        return bool(until(lambda: not self.run.alive(), seconds))


Blow = Callable[[Scene], None]


@dataclass(frozen=True)
class Case:
    """`again`: the procedure is run once more instead of waiting for the guard. `deployed`: started by a worker."""

    kind: str
    point: Point
    blow: Blow
    again: bool = False
    deployed: bool = False
    procedure: str = PROCEDURE


@dataclass(frozen=True)
class Outcome:
    """How a case ended; `seconds` from the blow until the host had settled."""

    kind: str
    point: str
    reached: bool
    end: str
    seconds: float
    hung: bool
    mail: bool
    note: str

    @property
    def bad(self) -> bool:
        return self.end == HALF or self.hung or not self.mail

    def __str__(self) -> str:
        words = [f"{self.kind}: {self.point}: {self.end} after {self.seconds:.1f} s"]
        words += [] if self.reached else ["the run ended before"]
        words += ["IT HUNG"] if self.hung else []
        words += [] if self.mail else ["MAIL STOPPED"]
        return ", ".join([*words, *filter(None, [self.note])])


class Stage:
    """An estate on which one case after another is played."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self._new = self._new_state()

    def play(self, case: Case) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            desk = self._desk(Path(folder))
            return self._play(case, desk)

    def _new_state(self) -> dict[str, str]:
        """What a run leaves that nothing hits."""
        with tempfile.TemporaryDirectory() as folder:
            desk = self._desk(Path(folder))
            done = desk.run("run", "--unattended")
            assert done.returncode == 0, done.stderr
            return ageless(state_of(desk))

    def _desk(self, var: Path) -> Desk:
        desk = Desk(var, self.estate)
        desk.write_estate(f"[guard]\nminutes = {GUARD_MINUTES}")
        return desk

    def _play(self, case: Case, desk: Desk) -> Outcome:
        old = self._state(desk)
        revive(desk)
        run: Run = Deployed(desk) if case.deployed else Typed(desk)
        scene = Scene(desk, run, Traces(desk.mta, desk.estate.host("cp")))
        reached = reach(scene, case.point)
        struck = time.monotonic()
        case.blow(scene)
        hung = not scene.await_end()
        note = self._again(desk) if case.again else ""
        hung = not until(lambda: settled(scene.seen), LIMIT) or hung
        seconds = time.monotonic() - struck
        run.kill()
        said = run.said()
        for mend in scene.mends:
            mend()
        end = until(lambda: self._end(desk, old, case.again), PATIENCE) or HALF
        mail = all(arrives(desk, port) for port in PORTS)
        if end == HALF or hung or not mail:
            note = f"{note} {evidence(desk, said)}"
        return Outcome(case.kind, case.point.name, reached, end, seconds, hung, mail, note)

    def _state(self, desk: Desk) -> dict[str, str]:
        return state_of(desk)

    def _again(self, desk: Desk) -> str:
        return f"the next run ended with {desk.run('run', '--unattended').returncode}"

    def _end(self, desk: Desk, old: Mapping[str, str], again: bool) -> str:
        """OLD, NEW, or "" for what is neither (yet); `again`: another run has been there."""
        now = state_of(desk)
        if now == old:
            return OLD
        return NEW if ageless(now) == self._new else ""


def reach(scene: Scene, point: Point) -> bool:
    deadline = time.monotonic() + REACH_SECONDS
    while time.monotonic() < deadline:
        if point.reached(scene.seen):
            return True
        if not isinstance(scene.run, Deployed) and not scene.run.alive():
            return False
        time.sleep(0.004)
    return False


def settled(seen: Traces) -> bool:
    """Whether no guard is going to do anything any more."""
    if seen.state in ("disarmed", "undone"):
        return True
    return seen.state in ("", "new") and not seen.exists(f"{UNITS}/timers.target.wants/deliverability-guard-*")


def state_of(desk: Desk) -> dict[str, str]:
    """Files with owner, mode and age, addresses, routes and ports, byte for byte."""
    substance = desk.substance()
    del substance["units"]
    return substance


def ageless(state: Mapping[str, str]) -> dict[str, str]:
    """A state without the times of its files, which end the lines that `stat` gave."""
    lines = state["files"].splitlines()
    return {**state, "files": "\n".join(line.rpartition(" ")[0] if ":" in line else line for line in lines)}


def arrives(desk: Desk, port: int) -> bool:
    """Whether a letter handed in at a port reaches a receiver, from the stream's own address."""
    recipient = f"letter-{next(_letters)}@contoso.com"
    inbox = desk.estate.receiver("microsoft")
    try:
        inject(desk.mta, port, recipient)
    except AssertionError:
        return False
    found = until(lambda: [letter for letter in inbox.messages() if recipient in str(letter["rcpt_to"])], PATIENCE)
    return bool(found) and (found[0]["peer"], found[0]["helo"]) == PORTS[port]


def evidence(desk: Desk, said: str) -> str:
    return json.dumps({"guard": desk.guard("state"), "undo.log": desk.guard("undo.log"), "run": said})
