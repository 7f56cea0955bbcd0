"""What all procedures share: begin, publish, gate, hold, confirm unchanged, guard, apply, verify, finish.

A procedure is a function over a Run; flows/conduct.py runs it inside its flow and ends every way with a report.
On resume Prefect runs the flow from the top again, so all that stands above the gate is a persisted task or free of
effects (flows/steps/tasks.py).
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import runtime
from prefect.client.orchestration import get_client

from blocks import guard as guards
from blocks import host_lock, snapshots
from blocks.ssh_host import SshHost
from blocks.ssh_session import Writer
from deliverability.decision import Choice, Decision
from deliverability.errors import (
    Conflict,
    PlanChanged,
    Rejected,
    RunbookError,
    VerificationFailed,
)
from deliverability.estate import Estate
from deliverability.finding import Finding, failed
from deliverability.plan import Plan
from flows.gates import questions
from flows.gates.gate import gate
from flows.progress import Progress
from flows.steps import tasks, turn
from reports import render, store
from reports.record import Action, Record, Status

REBUILDS = 4
"""How many times as long as the master needs to build a zone everybody may take to show it."""


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
        self.unfinished = False
        """Parts of the plan are still to come, though what was done stands."""
        self.host = SshHost.of(host, estate.hosts[host])
        self.deadline = datetime.fromisoformat(begun["started"]) + timedelta(hours=estate.gates.timeout_hours)
        self.progress = Progress()
        self._unattended = unattended
        self._command = command
        self.by_hand: tuple[str, ...] = ()
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
        self._settled(self.host.name, tasks.settle(self.source, self.record.run))

    def _settled(self, name: str, found: str) -> None:
        if found:
            self.progress.step("settle", f"{name}: {found}")
            self.observed(f"{name}: {found}")

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
    def hold(self, name: str = "") -> Iterator[Writer]:
        """A host, ours alone until the context ends: the one that is to change, or another of [hosts]. Raises Held."""
        decision = self.record.decision
        assert decision is not None, "nothing is changed without a decision"
        assert decision.approved, "nothing is changed without an approval"
        seconds = self.estate.guard.minutes * 60 + guards.UNDO_SECONDS + self._seconds_of_dns()
        host = SshHost.of(name, self.estate.hosts[name]) if name else self.host
        with (
            host.operate() as writer,
            turn.wait(self.estate.name, writer, seconds, self.progress),
            host_lock.hold(writer, self.record.run, decision.by, self.record.procedure, seconds),
        ):
            if (found := guards.last(writer)) is not None and not found.settled:
                self._settled(host.name, guards.settle(writer))
            self.progress.step("hold", f"{host.name} is held by run {self.record.run}")
            yield writer

    @contextmanager
    def still_holding(self, host: Writer) -> Iterator[None]:
        """The host of a connection, still ours or ours again: the one that held it may have died. Raises Conflict."""
        holder, decision = host_lock.holder(host), self.record.decision
        assert decision is not None
        if holder is None:
            with host_lock.hold(host, self.record.run, decision.by, self.record.procedure, guards.UNDO_SECONDS):
                yield
        elif holder.run == self.record.run:
            yield
        else:
            raise Conflict(f"{host.name} is {holder} meanwhile", next_step="look at what that run does first")

    def _seconds_of_dns(self) -> float:
        """How long the records of the plan may take, to be published, proved, and taken back."""
        return 2.0 * REBUILDS * self.estate.dns.rebuild_seconds * len(self.plan.records())

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
    def parts(self) -> Iterator[None]:
        """Around parts that are confirmed one by one: until all are, the run has not done what it was for."""
        self.unfinished = True
        yield
        self.unfinished = False

    def stands(self, by_hand: Iterable[str], earlier: tuple[str, ...]) -> None:
        """What was changed so far stands. `by_hand` takes it back, `earlier` what was done before.

        What was added to `by_hand` since `earlier` was done later, and is taken back first.
        """
        self.confirmed = True
        later = self.by_hand[: len(self.by_hand) - len(earlier)]
        self.by_hand = (*later, *by_hand, *earlier)
        command = f"runbook undo {self.record.run} --estate {self.source}"
        # An undo of what changed DNS is not undone in its turn; an address goes by a cleanup, with all its refusals.
        plan = self.plan
        can_be_undone = not plan.other_changes() or (plan.procedure != "undo" and not plan.added_addresses())
        ways = [command, "or by hand, in this order:"] if can_be_undone else ["by hand, in this order:"]
        self.record.undo = [*ways, *self.by_hand]

    def verify(self, findings: list[Finding]) -> None:
        """Take the evidence. Raises VerificationFailed if anything failed or could not be seen."""
        self.record.findings = [*self.record.findings, *findings]
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
