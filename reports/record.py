"""What a run leaves behind: the data that both the Markdown report and its JSON twin are made of."""

from enum import StrEnum

from pydantic import BaseModel, Field

from deliverability.decision import Decision
from deliverability.finding import Finding
from deliverability.plan import Plan

SCHEMA = 1


class Status(StrEnum):
    """How a run ended, in the words of the exit codes."""

    DONE = "done"
    NOTHING_TO_DO = "nothing to do"
    REJECTED = "rejected"
    REFUSED = "refused"
    UNDONE = "verification failed, undone"
    UNDO_FAILED = "undo failed, a person is needed"
    HELD = "held by another run"
    ERROR = "error"


class Action(BaseModel):
    """One thing that was done: when (ISO 8601, UTC), what, with which result, in how many seconds."""

    at: str
    what: str
    result: str
    seconds: float


class Record(BaseModel):
    """Everything about one run."""

    model_config = {"populate_by_name": True}

    schema_version: int = Field(SCHEMA, alias="schema")
    run: str
    procedure: str
    estate: str
    rehearsal: bool
    trigger: str
    started: str
    ended: str = ""
    status: Status = Status.ERROR
    exit_code: int = 1
    summary: str = ""
    observed: list[str] = []
    plan: Plan | None = None
    decision: Decision | None = None
    actions: list[Action] = []
    findings: list[Finding] = []
    difference: str = ""
    undo: list[str] = []
    open_items: list[str] = []
