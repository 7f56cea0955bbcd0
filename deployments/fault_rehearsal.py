"""A rehearsal that goes wrong on purpose: a fault amid the changes of a procedure, and the state it leaves behind."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deliverability.errors import RehearsalError
from deployments.rehearse import STATE_VARIABLE
from flows.opening import estate_file
from rehearsal import Estate, faults
from rehearsal.faults import Fault
from rehearsal.progress import stopwatch
from rehearsal.running import RunningEstate

HELP = "help"
KILL = "kill"
KILL_SUMMARY = "the run itself is killed, without a chance to say goodbye"
HOST = "mta"
GUARDS = "var/lib/deliverability-runbook"
GUARD_MINUTES = 0.5
"""Short, so that one can watch it fire."""

SETTLE_SECONDS = 180.0
PLAN_SECONDS = 120.0
CHANGES_PENDING = 2
HALF_CHANGED = 1

Say = Callable[[str], None]


@dataclass(frozen=True)
class Look:
    """What `runbook plan` says of the host: its exit code, the plan's digest, and its error if it has one."""

    code: int
    digest: str
    error: str


def known() -> str:
    """The faults there are, one a line."""
    summaries = {fault.name: fault.summary for fault in faults.FAULTS.values()} | {KILL: KILL_SUMMARY}
    return "\n".join(f"{name:<16}{summary}" for name, summary in summaries.items())


def once(procedure: str, name: str, at: int, seconds: float) -> int:
    """Run a procedure unattended, injecting a fault after `at` lines of its journal and mending it `seconds` later.

    The exit code of the run, 1 if the host was left half-changed. Raises RehearsalError for an unknown fault.
    """
    if name == HELP:
        print(known())
        return 0
    if name != KILL:
        _check(name)
    say = stopwatch()
    with Estate(say) as estate:
        file = _estate_file(estate)
        before = _look(estate, procedure, file)
        with _start(estate, procedure, file) as run:
            fault = _killing(run) if name == KILL else faults.find(name)
            if _reaches(estate, run, at):
                _suffer(estate, fault, seconds, say)
            else:
                say(f"the run ended before its journal had {at} lines: {name} was not injected")
            code = _exit_code(run)
        say(f"the run ended with {code}; guard: {_guard(estate)}")
        guard = _settle(estate)
        words, half_changed = verdict(before, _look(estate, procedure, file))
        print(f"{HOST} is {words}; guard: {guard}", flush=True)
    return HALF_CHANGED if half_changed else code


def _check(name: str) -> None:
    try:
        faults.find(name)
    except RehearsalError:
        print(known(), file=sys.stderr)
        raise


def _killing(run: "subprocess.Popen[bytes]") -> Fault:
    return Fault(KILL, KILL_SUMMARY, lambda _estate, _host: run.kill(), faults.nothing)


def _estate_file(estate: Estate) -> Path:
    file = estate.state / "fault.toml"
    base = json.dumps(str(estate_file("rehearsal")))
    file.write_text(f"extends = {base}\n[guard]\nminutes = {GUARD_MINUTES}\n")
    return file


def _command(verb: str, procedure: str, file: Path, option: str) -> list[str]:
    return [sys.executable, "-m", "cli", verb, procedure, "--estate", str(file), option]


def _environment(estate: Estate) -> dict[str, str]:
    return os.environ | {STATE_VARIABLE: str(estate.state)}


def _start(estate: Estate, procedure: str, file: Path) -> "subprocess.Popen[bytes]":
    return estate.hub_popen(_command("run", procedure, file, "--unattended"), env=_environment(estate))


def _look(estate: Estate, procedure: str, file: Path) -> Look:
    command = _command("plan", procedure, file, "--json")
    done = estate.hub_run(command, timeout=PLAN_SECONDS, env=_environment(estate))
    planned = done.returncode in (0, CHANGES_PENDING)
    return Look(done.returncode, json.loads(done.stdout)["digest"] if planned else "", done.stderr.strip())


def _exit_code(run: "subprocess.Popen[bytes]") -> int:
    """As a shell counts them."""
    code = run.wait()
    return code if code >= 0 else 128 - code


def _reaches(estate: Estate, run: "subprocess.Popen[bytes]", lines: int) -> bool:
    """Wait until the journal on the host has so many lines. False if the run ends before."""
    while run.poll() is None:
        if len(_on_host(estate, "journal").splitlines()) >= lines:
            return True
        time.sleep(0.01)
    return False


def _suffer(estate: Estate, fault: Fault, seconds: float, say: Say) -> None:
    say(f"after journal line {len(_on_host(estate, 'journal').splitlines())}: {fault.name}: {fault.summary}")
    fault.inject(estate, HOST)
    if fault.mend is faults.nothing:
        return
    time.sleep(seconds)
    fault.mend(estate, HOST)
    say(f"{fault.name} is mended")


def _settle(estate: Estate) -> str:
    """The guard's state once it has confirmed or undone, or is not going to."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (state := _guard(estate)) in ("armed", "failed") and time.monotonic() < deadline:  # it tries again
        time.sleep(0.2)
    return state


def _guard(estate: RunningEstate) -> str:
    return _on_host(estate, "state").partition(" ")[0].strip() or "none"


def _on_host(estate: RunningEstate, name: str) -> str:
    """A file of the guard on the host, read from outside, whatever state the host is in; "" if it is not there."""
    root = Path(f"/proc/{estate.host(HOST).pid}/root")
    for file in root.glob(f"{GUARDS}/[0-9]*/{name}"):  # there is one run
        with contextlib.suppress(OSError):
            return file.read_text()
    return ""


def verdict(before: Look, after: Look) -> tuple[str, bool]:
    """The state of the host in words, and whether it is between the old and the new one."""
    if after.code == 0:
        return "in the new state: there is nothing left to do", False
    if after.code == CHANGES_PENDING and after.digest == before.digest:
        return f"in the old state: the plan has the digest it had before the run, {after.digest[:12]}", False
    if after.code == CHANGES_PENDING:
        return f"half-changed: the plan's digest is {after.digest[:12]}, before the run {before.digest[:12]}", True
    return f"half-changed: no plan can be made of it: {after.error}", True
