"""From a finished run that changed records, or the From of a listmonk, to the plan that takes it back.

As with every undo: a change is taken back only where things are still as the run left them, is left out where it is
back already, and anything else is a difference that a person has to look at first. A zone gets a new serial, never an
old file.
"""

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from deliverability.dns import zone
from deliverability.dns.zone import Zone
from deliverability.errors import Refused
from deliverability.estate import Estate
from deliverability.listmonk import Instance
from deliverability.plan import KNOWN_LATER, Change, EditFile, MakeKey, Plan, ReloadService, SetListmonkFrom, SetRecord

PROCEDURE = "undo"


class ForwardLook(BaseModel):
    """What there is now of all that a run changed: `key_records` are those of private keys, `files` texts, by path."""

    model_config = ConfigDict(frozen=True)

    zone: Zone
    key_records: Mapping[str, str | None]
    instances: Mapping[str, Instance]
    files: Mapping[str, str]


def plan(run: str, past: Plan, now: ForwardLook, estate: Estate) -> Plan:
    """The changes that take it back, the last one first; empty when all of it is back already.

    Raises Refused with a reason for each thing that has moved on since.
    """
    if past.added_addresses():
        raise Refused(
            f"run {run} gave an address back; it goes as any other that no stream uses",
            next_step="take it out of `more` of its stream, then: runbook run snowshoe-cleanup; runbook run spf-trim",
        )
    known = past.with_key(_key(past, now))
    reasons = [
        f"{record.target}: the key it was published for is gone, so that nobody can tell whether it is still this one"
        for record in known.records()
        if record.after == KNOWN_LATER
    ]
    left = [change for change in reversed(known.changes) if _is_left(change, now, reasons)]
    if reasons:
        raise Refused(
            f"run {run} is not undone, {len(reasons)} reason(s) against it; nothing was changed",
            reasons,
            next_step=f"settle these, then: runbook undo {run} --estate {estate.name}",
        )
    return Plan(
        procedure=PROCEDURE,
        estate=estate.name,
        host=past.host,
        changes=tuple(_in_order([_inverse(change, run) for change in left], known, run)),
        kept=tuple(f"the key {key.path}: nothing is signed with it" for key in past.new_keys()),
    )


def _key(past: Plan, now: ForwardLook) -> str:
    """What was published of the key that the run made; one that is gone cannot be told."""
    found = [now.key_records.get(key.path) for key in past.new_keys()]
    return next((record for record in found if record), KNOWN_LATER)


def _is_left(change: Change, now: ForwardLook, reasons: list[str]) -> bool:
    match change:
        case SetRecord():
            values = [record.value for record in zone.at(now.zone.records, change.name, change.type)]
            return _is_as_left(change.target, values, change.before, change.after, reasons)
        case SetListmonkFrom():
            sender = [now.instances[change.instance].from_email]
            return change.before != change.after and _is_as_left(
                change.target, sender, change.before, change.after, reasons
            )
        case EditFile():
            text = [now.files[change.path]] if change.path in now.files else []
            return _is_as_left(change.path, text, change.before, change.after, reasons)
    return False


def _is_as_left(what: str, now: Sequence[str], before: str | None, after: str | None, reasons: list[str]) -> bool:
    """Whether something still says what the run made it say; if it says neither that nor what was before: a reason."""
    if after is None:
        return before not in now
    if after in now:
        return True
    if before is not None and before not in now:
        reasons.append(f"{what} was changed since the run")
    return False


def _inverse(change: Change, run: str) -> Change:
    return change.inverse().model_copy(update={"why": f"undo of {run}"})


def _in_order(back: Sequence[Change], past: Plan, run: str) -> Iterator[Change]:
    """First the From, then the files and the reloads they need, and the records last, in reverse."""
    yield from (change for change in back if isinstance(change, SetListmonkFrom))
    edits = [change for change in back if isinstance(change, EditFile)]
    yield from edits
    if edits:
        yield from (
            ReloadService(host=change.host, service=change.service, why=f"undo of {run}")
            for change in past.changes
            if isinstance(change, ReloadService)
        )
    yield from (change for change in back if isinstance(change, SetRecord))


def summary(run: str, past: Plan) -> tuple[str, ...]:
    """What the report of the run says, a line each."""
    kinds = [change for change in past.changes if not isinstance(change, ReloadService | MakeKey)]
    return (f"run {run} was a {past.procedure}: {len(kinds)} changes",)


def done(run: str, plan: Plan) -> str:
    """One sentence about an undo that was carried out and passed its verification."""
    return (
        f"run {run} is undone: {len(plan.records())} record(s), {len(plan.edits())} file(s) and "
        f"{len(plan.senders())} From as before it, verification passed"
    )
