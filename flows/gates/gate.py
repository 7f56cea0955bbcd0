"""The gate: a procedure waits here for a person, for minutes or days, and goes on only with a decision about its plan.

Under a worker the run suspends: its process ends, and the answer may come after restarts of worker and server. In a
plain process the same questions are asked at the terminal. Whatever goes wrong, the answer is no.
"""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run

from deliverability import decision as decisions
from deliverability.decision import Choice, Decision
from deliverability.plan import Plan
from flows.gates import questions, terminal
from flows.gates.questions import Answer, Question
from reports.render import cell

GRACE = timedelta(days=1)
"""Prefect ends an overdue run without running it, so without a report: its own limit lies this far behind ours, and
flows/hygiene/expire_gates.py wakes the run in between."""

SHOWN_LIMIT = 150_000
"""Bytes of the plan in the Resume form."""

TRIES = 20
KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def gate(plan: Plan, shown: str, *, key: str, deadline: datetime, unattended: bool = False) -> Decision:
    """Wait until a person approves or rejects exactly this plan.

    `shown` is the plan in Markdown, already escaped; `key` (lower case, digits, dashes) is one per gate of a flow;
    `deadline` is aware, and the first one given for this gate of the run holds. To be called from a flow's body only:
    Prefect cannot suspend a task, a subflow or a transaction. Never raises for what a person answers or fails to
    answer: that is a Decision to reject.
    """
    if not KEY.fullmatch(key) or deadline.tzinfo is None:
        raise ValueError(
            f"a gate needs a key of lower case, digits and dashes, and an aware deadline: {key!r}, {deadline}"
        )
    if unattended:
        reason = "this estate is a rehearsal and accepts a run without a person"
        return _decision(plan, Choice.APPROVE, "rehearsal (unattended)", reason, via="unattended")
    run = _deployed_run()
    if run is None:
        return terminal.ask(plan, shown, deadline)
    return _ask_suspended(run, plan, shown, key, deadline)


def _deployed_run() -> FlowRun | None:
    """The flow run of this process, if it is one that a worker can bring back."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    return run if run is not None and run.deployment_id is not None else None


def _ask_suspended(run: FlowRun, plan: Plan, shown: str, key: str, deadline: datetime) -> Decision:
    """Ask until an answer can be taken. On resume all of this runs again, and Prefect replays the earlier answers."""
    stem = f"{questions.PREFIX}{key}-{_rounds(run.id)}"
    refusal = ""
    for attempt in range(TRIES):
        pause_key = f"{stem}-{attempt}"
        question = _posed(run.id, pause_key, plan, deadline)
        if question is None:
            return _timeout(plan, deadline, "nobody answered in time")
        deadline = question.deadline
        form = Answer.with_initial_data(description=_description(run, plan, shown, deadline, refusal))
        answer = suspend_flow_run(wait_for_input=form, timeout=_seconds(deadline), key=pause_key)
        taken = _take(run.id, pause_key, plan, deadline, answer)
        if isinstance(taken, Decision):
            return taken
        refusal = taken
    reason = f"{TRIES} answers could not be taken, the last one because {refusal}"
    return _decision(plan, Choice.REJECT, "the gate", reason, via=VIA_PREFECT)


VIA_PREFECT = "Prefect UI or runbook approve"


def _rounds(run: UUID) -> int:
    with get_client(sync_client=True) as client:
        return questions.rounds(client, run)


def _posed(run: UUID, pause_key: str, plan: Plan, deadline: datetime) -> Question | None:
    """The question of this attempt, as it was first posed; None if it is too late to pose it."""
    with get_client(sync_client=True) as client:
        question = questions.read(client, run, pause_key)
        if question is not None or datetime.now(UTC) >= deadline:
            return question
        question = Question(procedure=plan.procedure, estate=plan.estate, digest=plan.digest, deadline=deadline)
        questions.pose(client, run, pause_key, question)
        return question


def _take(run: UUID, pause_key: str, plan: Plan, deadline: datetime, answer: Answer) -> Decision | str:
    """The decision that an answer is, or why it is none."""
    with get_client(sync_client=True) as client:
        arrived = questions.arrival(client, run, pause_key)
    by = questions.clean(answer.name, decisions.NAME_LIMIT)
    reason = questions.clean(answer.reason, decisions.REASON_LIMIT)
    if arrived is not None and arrived >= deadline:
        late = f"{answer.decision} by {by or 'nobody'} came at {arrived:%Y-%m-%d %H:%M:%S} UTC"
        return _timeout(plan, deadline, "nobody answered in time" if by == TIMEOUT else late)
    refusal = decisions.problem(answer.decision, answer.digest, by, plan.digest)
    if refusal is not None or arrived is None:
        return refusal or "it was empty"
    return _decision(plan, Choice(answer.decision), by, reason, via=VIA_PREFECT, at=arrived)


TIMEOUT = "timeout"


def _timeout(plan: Plan, deadline: datetime, what: str) -> Decision:
    reason = f"the deadline was {deadline:%Y-%m-%d %H:%M} UTC; {what}"
    return _decision(plan, Choice.REJECT, TIMEOUT, reason, via=TIMEOUT)


def _decision(plan: Plan, choice: Choice, by: str, reason: str, *, via: str, at: datetime | None = None) -> Decision:
    moment = (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")
    return Decision(choice=choice, digest=plan.digest, by=by, reason=reason, at=moment, via=via)


def _seconds(deadline: datetime) -> int:
    """Prefect's own limit for one suspension, in seconds from now."""
    return int(max(deadline - datetime.now(UTC), timedelta()).total_seconds() + GRACE.total_seconds())


def _description(run: FlowRun, plan: Plan, shown: str, deadline: datetime, refusal: str) -> str:
    """The Resume form's text, in Markdown: why it asks again, what is asked, until when, the plan, the commands.

    The form shows some ten lines of it at a time: the plan comes as early as it can.
    """
    digest = plan.short_digest
    command = f"--estate {plan.estate} --by NAME --reason TEXT"
    parts = [
        f"> **The last answer was not taken:** {cell(refusal)}" if refusal else "",
        f"**Approve or reject this plan until {deadline:%Y-%m-%d %H:%M} UTC.** Its digest is `{digest}`. "
        "To approve: decision `approve`, the digest, your name. Everything else, and no answer, is a rejection.",
        _bounded(shown).strip(),
        "Or on the command line:",
        f"    runbook approve {run.name} --digest {digest} {command}\n    runbook reject {run.name} {command}",
    ]
    return "\n\n".join(filter(None, parts))


def _bounded(shown: str) -> str:
    raw = shown.encode()
    if len(raw) <= SHOWN_LIMIT:
        return shown
    note = f"**The plan is cut after {SHOWN_LIMIT} of {len(raw)} bytes:** read the whole of it before you approve."
    return f"{note}\n\n{raw[:SHOWN_LIMIT].decode(errors='ignore')}"
