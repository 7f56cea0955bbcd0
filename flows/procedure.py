"""What all procedures share: begin, publish, gate, hold, confirm unchanged, guard, apply, verify, finish.

A procedure is a function over a Run; flows/conduct.py runs it inside its flow and ends every way with a report.
On resume Prefect runs the flow from the top again, so all that stands above the gate is a persisted task or free of
effects (flows/tasks.py).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client

from blocks import guard as guards
from blocks import host_lock, mta, snapshots
from blocks.guard_arming import Armed
from blocks.ssh_host import SshHost
from blocks.ssh_session import Writer
from deliverability.decision import Choice, Decision
from deliverability.errors import (
    PlanChanged,
    Rejected,
    RunbookError,
    UndoFailed,
    VerificationFailed,
)
from deliverability.estate import Estate
from deliverability.finding import Finding, failed
from deliverability.plan import Plan
from flows import questions, tasks, turn
from flows.gate import gate
from flows.progress import Progress
from reports import render, store
from reports.record import Action, Record, Status


class Run:
    """One run of a procedure: what it knows, what it did, and the report it will leave."""

    def __init__(self, procedure: str, source: str, estate: Estate, unattended: bool, command: str, host: str) -> None:
        """`source` is the estate's name or file, as it was asked for: tasks open it by that.

        `command` is what a person types to have this again, `host` the entry of [hosts] that is to change.
        """
        begun = tasks.begin(procedure, source, _attempt())
        self.source = source
        self.estate = estate
        self.confirmed = False
        self.host = SshHost.of(host, estate.hosts[host])
        self.deadline = datetime.fromisoformat(begun["started"]) + timedelta(hours=estate.gates.timeout_hours)
        self.progress = Progress()
        self._unattended = unattended
        self._command = command
        self.record = Record(
            run=begun["run"],
            procedure=procedure,
            estate=estate.name,
            rehearsal=estate.rehearsal,
            trigger=begun["trigger"],
            started=begun["started"],
        )

    def moment(self, which: str) -> str:
        """Names one look of this very attempt: a retried run must not be shown what an earlier one saw."""
        return f"{self.record.run}: {which}"

    @property
    def plan(self) -> Plan:
        assert self.record.plan is not None, "publish the plan first"
        return self.record.plan

    def settle(self) -> None:
        """Begin on a host that is in one state: what a run that died left there is undone, and said."""
        self._settled(tasks.settle(self.source, self.record.run))

    def _settled(self, found: str) -> None:
        if found:
            self.progress.step("settle", f"{self.host.name}: {found}")
            self.observed(f"{self.host.name}: {found}")

    def observed(self, *lines: str) -> None:
        """What the look at the estate showed, for the report."""
        self.record.observed += lines

    def publish(self, plan: Plan) -> Plan:
        """Show the plan: as the run's artifact, and to whoever watches."""
        self.record.plan = plan
        self.progress.step("plan", f"{len(plan.changes)} changes, digest {plan.short_digest}")
        tasks.publish(f"{plan.procedure}-plan", render.plan_markdown(plan))
        return plan

    def gate(self) -> Decision:
        """Wait for a person. Raises Rejected unless the answer is an approval of exactly this plan."""
        self.progress.step("gate", f"waits for a person until {self.deadline:%Y-%m-%d %H:%M} UTC")
        if self._unattended:
            self.progress.show(render.plan_markdown(self.plan))
        decision = gate(
            self.plan,
            render.plan_markdown(self.plan),
            key="approve",
            deadline=self.deadline,
            unattended=self._unattended,
        )
        self.record.decision = decision
        self.progress.step("gate", f"{decision.choice} by {decision.by}: {decision.reason}")
        if decision.choice is not Choice.APPROVE:
            raise Rejected(
                f"the plan was rejected by {decision.by}: {decision.reason or 'no reason given'}",
                next_step=f"{self._command}   # asks again",
            )
        return decision

    @contextmanager
    def hold(self) -> Iterator[Writer]:
        """The host, ours alone until the context ends. Raises Held."""
        decision = self.record.decision
        assert decision is not None, "nothing is changed without a decision"
        assert decision.approved, "nothing is changed without an approval"
        seconds = self.estate.guard.minutes * 60 + guards.UNDO_SECONDS
        with (
            self.host.operate() as writer,
            turn.wait(self.estate.name, writer, seconds, self.progress),
            host_lock.hold(writer, self.record.run, decision.by, self.record.procedure, seconds),
        ):
            if (found := guards.last(writer)) is not None and not found.settled:
                self._settled(guards.settle(writer))
            self.progress.step("hold", f"{self.host.name} is held by run {self.record.run}")
            yield writer

    def confirm_unchanged(self, now: Plan) -> None:
        """Raises PlanChanged unless a fresh look leads to the very plan that was approved."""
        if now.digest == self.plan.digest:
            return
        self.record.difference = render.difference(self.plan, now)
        raise PlanChanged(
            f"the estate changed since the approval: {self.plan.short_digest} was approved, "
            f"it would now be {now.short_digest}; nothing was changed",
            next_step=f"{self._command}   # a new plan, a new approval",
        )

    @contextmanager
    def guard(self, writer: Writer) -> Iterator[Armed]:
        """Arm the undo timer on the host; confirm the change at the end, or undo it if anything at all goes wrong."""
        minutes = self.estate.guard.minutes
        with self.timed(f"arm the guard, {minutes:g} min") as done:
            armed = guards.arm(writer, self.plan, self.record.run, minutes, self.estate.mta.backups)
            done(f"backups {', '.join(backup for backup, _ in armed.backups)}")
        self.record.undo = [f"not confirmed; {self._by_hand(armed)}"]
        try:
            yield armed
            with self.timed("disarm the guard, over a new connection") as done:
                guards.disarm(self.host, armed)
                done("confirmed")
        except BaseException as error:
            if self._undo(armed, error):
                raise VerificationFailed(
                    f"{error}\n  it was undone; the old state is back", next_step=f"runbook reports {self.record.run}"
                ) from error
            self._keep(armed)
            raise
        self._keep(armed)

    def _keep(self, armed: Armed) -> None:
        """The host has taken the confirmation: from here on the change stands, and this is how to take it back."""
        self.confirmed = True
        # Addresses first: a transport whose address is missing sends from another one, with no more than a warning.
        self.record.undo = [
            f"runbook undo {self.record.run} --estate {self.source}",
            "or by hand, in this order:",
            *(
                f"ip addr add {gone.address}/{gone.prefix} dev {gone.interface} label {gone.label}"
                for gone in self.plan.removed_addresses()
            ),
            *(f"cp -p {backup} {path}" for backup, path in armed.backups),
            "postfix check && postfix reload",
            *(
                f"ip addr del {new.address}/{new.prefix} dev {new.interface}"
                for new in self.plan.added_addresses()[::-1]
            ),
            f"evidence on {self.host.name}: {armed.directory}",
        ]

    def apply(self, writer: Writer, armed: Armed) -> None:
        """Make the plan's changes, in order, with a line in the host's journal before and after each."""
        for number, change in enumerate(self.plan.host_changes(), 1):
            what = render.headline(change)
            with self.timed(what, f"[{number}/{len(self.plan.host_changes())}]") as done:
                guards.record(writer, armed, event="before", number=number, change=change.kind, target=change.target)
                result = mta.apply(writer, change, self.estate, guards.only_while_armed(armed))
                guards.record(writer, armed, event="after", number=number, result=result)
                done(result)

    def verify(self, findings: list[Finding]) -> None:
        """Take the evidence. Raises VerificationFailed if anything failed or could not be seen."""
        self.record.findings = findings
        for finding in findings:
            self.progress.step("verify", f"{finding.verdict}: {finding.check}: {finding.observed}")
        if bad := failed(findings):
            raise VerificationFailed("; ".join(f"{finding.check}: {finding.observed}" for finding in bad))

    def finish(self, summary: str) -> None:
        """The run did what it was for."""
        nothing = self.record.plan is not None and self.record.plan.empty
        self.record.status = Status.NOTHING_TO_DO if nothing else Status.DONE
        self.record.exit_code = 0
        self.record.summary = summary

    def keep_snapshots(self) -> None:
        """Commit the changed files to the snapshot repository. The change stands even if that fails."""
        with self.timed("commit snapshots") as done:
            try:
                commit = snapshots.commit(
                    store.snapshots() / self.estate.name,
                    self.plan.edits(),
                    f"{self.record.procedure} {self.record.run}",
                )
                done(f"commit {commit}")
            except (RunbookError, OSError) as error:
                self.record.open_items.append(f"the snapshots were not committed: {error}")
                done("failed")

    def note(self, what: str, result: str) -> None:
        """Something that was done beside the plan, for the report."""
        self.progress.step(what, result)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.record.actions.append(Action(at=at, what=what, result=result, seconds=0))

    def _undo(self, armed: Armed, cause: BaseException) -> bool:
        """False if there was nothing to undo any more: the host had been told to keep the change."""
        self.progress.step("undo", f"{type(cause).__name__}: {cause}")
        with self.timed("undo") as done:
            try:
                log = guards.undo(self.host, armed)
            except RunbookError:
                raise
            except BaseException as error:
                raise UndoFailed(
                    f"the undo was cut short ({type(error).__name__}); the host undoes by itself at {armed.deadline}",
                    next_step=self._by_hand(armed),
                ) from error
            done("the change is confirmed, and stands" if log is None else "the old state is back")
        if log is None:
            return False
        self.record.undo = [f"undone because: {cause}", *log.splitlines()]
        return True

    def _by_hand(self, armed: Armed) -> str:
        return f"on {self.host.name}: sh {armed.directory}/guard.sh undo; cat {armed.directory}/undo.log"

    @contextmanager
    def timed(self, what: str, count: str = "") -> Iterator[Callable[[str], None]]:
        """Do something, and say what came of it and how long it took; the context is called with the words."""
        at, began = datetime.now(UTC), time.monotonic()
        results: list[str] = []
        try:
            yield results.append
        except BaseException as error:
            results.append(f"failed: {error}")
            raise
        finally:
            seconds = time.monotonic() - began
            result = "; ".join(results) or "done"
            self.record.actions.append(
                Action(at=at.isoformat(timespec="seconds"), what=what, result=result, seconds=seconds)
            )
            self.progress.step(f"{count} {what}".strip(), f"{result}  {seconds:.1f} s")


def _attempt() -> int:
    """How often this flow run has ended before: a retry is a new look, a new deadline and a new report."""
    if not runtime.deployment.id:
        return 0
    with get_client(sync_client=True) as client:
        return questions.rounds(client, UUID(str(runtime.flow_run.id)))
