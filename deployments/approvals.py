"""Gates from the outside: what waits for a person, and giving an answer."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun
from pydantic import BaseModel

from deliverability import decision as decisions
from deliverability.decision import Choice
from deliverability.errors import GateError
from deliverability.plan import SHORT_DIGEST
from deployments import server
from flows.gates import questions
from flows.gates.questions import Answer

SHORTEST_PREFIX = 4
"""Characters of a run's id that may stand for it."""


class Waiting(BaseModel):
    """A run that waits at a gate: the full digest, the deadline (aware), the UI's page, the Resume form's Markdown."""

    run: UUID
    name: str
    procedure: str
    estate: str
    digest: str
    deadline: datetime
    link: str
    shown: str


def waiting(home: Path | None = None) -> list[Waiting]:
    """Every run that waits for a person, the most urgent first. Raises ServerError."""
    with server.client(home) as client:
        return [_shown(client, one) for one in questions.waiting(client)]


def answer(run: str, choice: str, digest: str, by: str, reason: str, *, home: Path | None = None) -> None:
    """Answer the gate that a run waits at; the run goes on by itself.

    `run` is the run's name, its id, or a prefix of its id that no other waiting run shares; `digest` is at least the
    first 12 characters of the plan's and may be "" to reject. Raises GateError if nothing waits there, if the
    deadline has passed, or if the answer could not be taken; then nothing was sent. Raises ServerError.
    """
    by = questions.clean(by, decisions.NAME_LIMIT + 1)  # one more, so that a name which is too long is still refused
    with server.client(home) as client:
        at = _find(client, run)
        if at.overdue:
            raise GateError(
                f"the deadline of run {at.name} was {at.question.deadline:%Y-%m-%d %H:%M} UTC; it counts as rejected",
                next_step=f"start {at.question.procedure} again, for a new plan",
            )
        if refusal := decisions.problem(choice, digest, by, at.question.digest):
            raise GateError(f"the answer to run {at.name} was not sent: {refusal}", next_step=_command(at))
        given = Answer(
            decision="approve" if choice == Choice.APPROVE else "reject",
            digest=digest.strip(),
            name=by,
            reason=questions.clean(reason, decisions.REASON_LIMIT),
        )
        questions.deliver(client, at, given)


def _shown(client: SyncPrefectClient, one: questions.Waiting) -> Waiting:
    base = str(client.api_url).rstrip("/").removesuffix("/api")
    return Waiting(
        run=one.id,
        name=one.name,
        procedure=one.question.procedure,
        estate=one.question.estate,
        digest=one.question.digest,
        deadline=one.question.deadline.astimezone(UTC),
        link=f"{base}/runs/flow-run/{one.id}",
        shown=one.shown,
    )


def _command(at: questions.Waiting) -> str:
    digest = at.question.digest[:SHORT_DIGEST]
    return f"runbook approve {at.name} --digest {digest} --estate {at.question.estate} --by NAME --reason TEXT"


def _find(client: SyncPrefectClient, run: str) -> questions.Waiting:
    """The one waiting run that `run` names."""
    wanted = run.strip()
    found = [one for one in questions.waiting(client) if _names(one, wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{one.name} ({one.id})" for one in found)
        raise GateError(f"{wanted!r} names {len(found)} waiting runs: {names}", next_step="type more of the id")
    raise GateError(
        f"nothing waits for an answer at run {wanted!r}{_instead(client, wanted)}",
        next_step="runbook approvals   # what waits now",
    )


def _names(one: questions.Waiting, wanted: str) -> bool:
    prefix = wanted.lower()
    return one.name == wanted or (len(prefix) >= SHORTEST_PREFIX and str(one.id).startswith(prefix))


def _instead(client: SyncPrefectClient, wanted: str) -> str:
    """What the run does instead of waiting, as far as the server knows it."""
    known = _known(client, wanted)
    if known is None or known.state is None:
        return ""
    return f": it is {known.state.name} since {known.state.timestamp:%Y-%m-%d %H:%M:%S} UTC"


def _known(client: SyncPrefectClient, wanted: str) -> FlowRun | None:
    try:
        by = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(wanted)]))
    except ValueError:
        by = FlowRunFilter(name=FlowRunFilterName(any_=[wanted]))
    return next(iter(client.read_flow_runs(flow_run_filter=by, limit=1)), None)
