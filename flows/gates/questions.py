"""What a gate asks, kept with its flow run on the Prefect server, and how an answer gets there.

A suspended run is a row in Prefect's database: what it asks, until when and about which plan must be read from there by
`runbook approvals`, by the expiry flow and by the run itself when it comes back.
"""

import json
import time
import unicodedata
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import RunInput
from pydantic import BaseModel, Field

from deliverability.decision import NAME_LIMIT, REASON_LIMIT
from deliverability.errors import GateError
from deliverability.plan import SHORT_DIGEST

PREFIX = "gate-"
"""Every pause key of a gate begins so: other suspended runs are none of our business."""

SCHEMA_WAIT = 5.0
"""Seconds: a run is Suspended an instant before its form is stored, and stays so when its process died in between."""

PAGE = 200


class Answer(RunInput):
    """The form of a gate. Everything left as it is means no."""

    # In Prefect's first UI a click on the word of a select opens it and closes it at once; its arrow works.
    decision: Literal["approve", "reject"] = Field(
        "reject", description="approve exactly this plan, or reject it; opens at the arrow on the right"
    )
    digest: str = Field(
        "", max_length=64, description=f"first {SHORT_DIGEST} characters of the plan's digest; needed to approve"
    )
    name: str = Field("", max_length=NAME_LIMIT, description="who decides")
    reason: str = Field("", max_length=REASON_LIMIT, description="why, for the report")


class Question(BaseModel):
    """One asking of one gate: the digest (64 hex characters) of the plan, and when the answer is due (aware)."""

    procedure: str
    estate: str
    digest: str
    deadline: datetime


class Waiting(BaseModel):
    """A run that waits at a gate. `shown` is the Markdown of its Resume form, "" if it cannot be read."""

    id: UUID
    name: str
    question: Question
    pause_key: str
    shown: str = ""

    @property
    def overdue(self) -> bool:
        return datetime.now(UTC) >= self.question.deadline


def clean(text: str, limit: int) -> str:
    """One line of what a person typed: no control, format or unassigned characters, at most `limit` long."""
    kept = (character if unicodedata.category(character)[0] != "C" else " " for character in text[: limit * 4])
    return " ".join("".join(kept).split())[:limit]


def read(client: SyncPrefectClient, run: UUID, pause_key: str) -> Question | None:
    """The question as it was first posed, or None."""
    stored = _stored(client, run, f"{pause_key}-question")
    return None if stored is None else Question.model_validate_json(stored)


def pose(client: SyncPrefectClient, run: UUID, pause_key: str, question: Question) -> None:
    """Store the question before the run suspends."""
    client.create_flow_run_input(run, f"{pause_key}-question", question.model_dump_json())


def arrival(client: SyncPrefectClient, run: UUID, pause_key: str) -> datetime | None:
    """When the server took the answer; None if the run was resumed without one."""
    found = client.filter_flow_run_input(run, f"suspended-{pause_key}-response", limit=1, exclude_keys=set())
    return found[0].created if found else None


def rounds(client: SyncPrefectClient, run: UUID) -> int:
    """How often the run has ended before: a retried run is asked again, an old approval is not used twice."""
    return sum(state.is_final() for state in client.read_flow_run_states(run))


def waiting(client: SyncPrefectClient) -> list[Waiting]:
    """All runs that wait at a gate of ours, the most urgent first."""
    paused = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))
    found: list[Waiting] = []
    for offset in range(0, PAGE * 50, PAGE):
        runs = client.read_flow_runs(flow_run_filter=paused, limit=PAGE, offset=offset)
        found += filter(None, (of_run(client, run) for run in runs))
        if len(runs) < PAGE:
            break
    return sorted(found, key=lambda one: one.question.deadline)


def of_run(client: SyncPrefectClient, run: FlowRun) -> Waiting | None:
    """What a run waits for, if it waits at a gate of ours."""
    if run.state is None or not run.state.is_paused():
        return None
    pause_key = run.state.state_details.pause_key or ""
    question = read(client, run.id, pause_key) if pause_key.startswith(PREFIX) else None
    if question is None:
        return None
    shown = _stored(client, run.id, f"suspended-{pause_key}-description")
    return Waiting(id=run.id, name=run.name, question=question, pause_key=pause_key, shown=_text(shown))


def deliver(client: SyncPrefectClient, at: Waiting, answer: Answer) -> None:
    """Resume a run with an answer. Raises GateError if it does not wait any more."""
    given = answer.model_dump(mode="json")
    give_up = time.monotonic() + SCHEMA_WAIT
    result = client.resume_flow_run(at.id, run_input=given)
    while _lacks_form(result) and time.monotonic() < give_up:
        time.sleep(0.2)
        result = client.resume_flow_run(at.id, run_input=given)
    if _lacks_form(result):  # its process died between suspending and storing the form: store it for it
        client.create_flow_run_input(at.id, f"suspended-{at.pause_key}-schema", _form())
        result = client.resume_flow_run(at.id, run_input=given)
    if result.status != SetStateStatus.ACCEPT:
        raise GateError(
            f"the answer to run {at.name} was not taken: {_why(result)}",
            next_step="runbook approvals   # what waits now",
        )


def _lacks_form(result: OrchestrationResult[object]) -> bool:
    return result.status == SetStateStatus.REJECT and "schema not found" in _why(result)


def _why(result: OrchestrationResult[object]) -> str:
    return str(getattr(result.details, "reason", None) or "no reason given")


def _form() -> str:
    return json.dumps(Answer.model_json_schema())


def _stored(client: SyncPrefectClient, run: UUID, key: str) -> str | None:
    try:
        return client.read_flow_run_input(run, key)
    except PrefectHTTPStatusError as error:
        if error.response.status_code == 404:
            return None
        raise


def _text(stored: str | None) -> str:
    return "" if stored is None else str(json.loads(stored))
