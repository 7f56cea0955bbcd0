"""From a finished run, as its host remembers it, to the plan that takes it back.

No copy of old files over new ones: a change is taken back only where the host is still as the run left it, is left out
where it is taken back already, and anything else is a difference that a person has to look at first.
"""

import hashlib
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from deliverability.errors import Refused
from deliverability.estate import Estate
from deliverability.finding import Finding, judged
from deliverability.footprint import planning, proof, refusals
from deliverability.footprint.observation import Footprint, HostFile
from deliverability.footprint.unused import Unused
from deliverability.network.addresses import LiveAddress
from deliverability.plan import AddAddress, EditFile, HostChange, Plan, ReloadService, RemoveAddress
from deliverability.postfix import master_cf

PROCEDURE = "undo"

SHOWN_LINES = 3
SHOWN_CHARACTERS = 100
"""Of each side of a difference: enough to find the place, not more than a person reads in a list of reasons."""


class Backup(BaseModel):
    """The copy of a file that a run made before it changed it.

    `recorded` is the copy's SHA-256 (hex) when it was made; `sha256`, `owner` (user:group) and `mode` (octal digits)
    are the copy's now, "" if it is gone.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    name: str
    recorded: str
    sha256: str = ""
    owner: str = ""
    mode: str = ""


class PastRun(BaseModel):
    """A run that finished and was confirmed: the plan that was approved, and the backups it left."""

    model_config = ConfigDict(frozen=True)

    run: str
    plan: Plan
    backups: tuple[Backup, ...]

    def backup(self, path: str) -> Backup | None:
        return next((backup for backup in self.backups if backup.path == path), None)


def plan(past: PastRun, now: Footprint, estate: Estate) -> Plan:
    """The changes that take the run back; empty when all of it is back already.

    Raises Refused with one reason for each thing in which the host, a backup or the estate has moved on since the run,
    or with what an undo would break; MalformedFile for a file that cannot be understood.
    """
    left = [change for change in past.plan.host_changes() if not _is_back(change, now)]
    reasons = (
        *(
            f"the {change.target} is no part of a footprint, all that this undo looks at: run the procedure again"
            for change in past.plan.other_changes()
        ),
        *(reason for change in left for reason in _differences(change, past, now, estate)),
    )
    if left and not reasons:
        reasons = _harm(left, now, estate)
    if reasons:
        raise Refused(
            f"{now.host}: run {past.run} is not undone, {len(reasons)} reason(s) against it; nothing was changed",
            reasons,
            next_step=f"settle these, then: runbook undo {past.run} --estate {estate.name}",
        )
    back = [change.inverse().model_copy(update={"why": f"undo of {past.run}: {change.why}"}) for change in left]
    return Plan(
        procedure=PROCEDURE,
        estate=estate.name,
        host=now.host,
        changes=tuple(_in_order(back, _reload(past, back, now, estate), estate)),
        kept=planning.kept(estate),
    )


def summary(past: PastRun, now: Footprint) -> tuple[str, ...]:
    """What the look showed, a line each."""
    changes = [change for change in past.plan.host_changes() if not isinstance(change, ReloadService)]
    back = sum(_is_back(change, now) for change in changes)
    return (
        f"run {past.run} was a {past.plan.procedure}: {len(changes)} changes, {back} of them are taken back already",
        *planning.summary(now),
    )


def done(past: PastRun, plan: Plan) -> str:
    """One sentence about an undo that was carried out and passed its verification."""
    return (
        f"run {past.run} is undone: {len(plan.edits())} files as before it, {len(plan.added_addresses())} addresses "
        f"added, {len(plan.removed_addresses())} removed, verification passed"
    )


def findings(past: PastRun, plan: Plan, after: Footprint, estate: Estate, at: str) -> list[Finding]:
    """The evidence that the run is taken back, from a look taken at `at` over a new connection."""
    found = (
        *proof.findings_of_any_plan(plan, after, estate),
        *_owners_and_modes(past, plan, after),
        *_addresses(plan, after),
        _again(past, after, estate),
    )
    return [one.model_copy(update={"at": at}) for one in found]


def _is_back(change: HostChange, now: Footprint) -> bool:
    """Whether the host is, in this, as it was before the run."""
    match change:
        case EditFile():
            file = now.files().get(change.path)
            return file is not None and file.text == change.before
        case RemoveAddress():
            return any(_is_there(change, live) for live in now.addresses)
        case AddAddress():
            return change.address not in now.live()
        case ReloadService():
            return True  # what is owed to the files of now is planned in _reload


def _is_there(change: RemoveAddress | AddAddress, live: LiveAddress) -> bool:
    """Label and broadcast are left out: an address that a person added by hand has others, and works as well."""
    return (live.address, live.interface, live.prefix) == (change.address, change.interface, change.prefix)


def _differences(change: HostChange, past: PastRun, now: Footprint, estate: Estate) -> Iterator[str]:
    """In what the host is neither as the run left it nor as it was before, as far as this change goes."""
    match change:
        case EditFile():
            yield from _file_differences(change, past.backup(change.path), now)
            yield from _backup_differences(change, past.backup(change.path), past.run)
        case RemoveAddress():
            for live in (live for live in now.addresses if live.address == change.address):
                yield f"{live.address} is bound again, as {live.address}/{live.prefix} on {live.interface}"
            if change.address not in estate.mta.pool_addresses() | estate.kept_addresses():
                yield f"{change.address} would come back, and it is in no mta.pool of the estate file any more"
        case AddAddress():
            for live in (live for live in now.addresses if live.address == change.address):
                if not _is_there(change, live):
                    yield f"{change.target} is {live.address}/{live.prefix} on {live.interface} now"
            if change.address in estate.kept_addresses():
                yield f"{change.address} would go, and it belongs to a stream or to mta.infrastructure now"


def _file_differences(edit: EditFile, backup: Backup | None, now: Footprint) -> Iterator[str]:
    file = now.files().get(edit.path)
    if file is None:
        yield f"{edit.path} is gone, or the estate file names another one"
    elif file.text != edit.after:
        yield f"{edit.path} was changed since the run: {_first_difference(edit.after, file.text)}"
    elif backup and backup.sha256 and (file.owner, file.mode) != (backup.owner, backup.mode):
        yield (
            f"{edit.path} has owner and mode {file.owner} {file.mode} now; "
            f"they were {backup.owner} {backup.mode} before the run"
        )


def _backup_differences(edit: EditFile, backup: Backup | None, run: str) -> Iterator[str]:
    """The text to write is in the plan as well; that both say the same is what makes it worth writing."""
    if backup is None or not backup.sha256:
        yield f"the backup of {edit.path} is missing{f': {backup.name}' if backup else ''}"
    elif {backup.sha256, backup.recorded} != {hashlib.sha256(edit.before.encode()).hexdigest()}:
        yield f"the backup {backup.name} is not what run {run} found in {edit.path}"


def _first_difference(left: str, now: str) -> str:
    """The lines between what two texts begin with and what they end with, a few of each."""
    was, has = left.split("\n"), now.split("\n")
    shorter = min(len(was), len(has))
    start = next((at for at in range(shorter) if was[at] != has[at]), shorter)
    rest = range(shorter - start)
    tail = next((back for back in rest if was[-1 - back] != has[-1 - back]), len(rest))
    lines = [*_shown("-", was[start : len(was) - tail]), *_shown("+", has[start : len(has) - tail])]
    return f"line {start + 1}: {'  '.join(lines)}"


def _shown(sign: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines[:SHOWN_LINES]:
        yield f"{sign}{line[:SHOWN_CHARACTERS]}{'...' if len(line) > SHOWN_CHARACTERS else ''}"
    if len(lines) > SHOWN_LINES:
        yield f"{sign}({len(lines) - SHOWN_LINES} more lines)"


def _harm(left: Sequence[HostChange], now: Footprint, estate: Estate) -> tuple[str, ...]:
    """What the rules of a cleanup say of what this undo takes away, on the host with all that it brings back."""
    texts = {change.path: change.before for change in left if isinstance(change, EditFile)}
    coming = (change for change in left if isinstance(change, RemoveAddress))
    host = now.model_copy(
        update={
            **{name: _with(texts, getattr(now, name)) for name in ("master_cf", "main_cf", "interfaces")},
            "addresses": (*now.addresses, *(_live(change) for change in coming)),
        }
    )
    stay = {service.key for service in master_cf.parse(host.master_cf.text, host.master_cf.path).services}
    services = master_cf.parse(now.master_cf.text, now.master_cf.path).services
    going = [service for service in services if service.key not in stay]
    unused = Unused(
        transports=tuple(service for service in going if service.type == "unix"),
        ports=tuple(service for service in going if service.type == "inet"),
        addresses=tuple(change.address for change in left if isinstance(change, AddAddress)),
    )
    return refusals.harm(host, estate, unused)


def _with(texts: dict[str, str], file: HostFile) -> HostFile:
    return file.model_copy(update={"text": texts.get(file.path, file.text)})


def _live(change: RemoveAddress) -> LiveAddress:
    return LiveAddress(
        change.interface, change.address, change.prefix, change.label, "global", True, broadcast=change.broadcast
    )


def _reload(past: PastRun, back: Sequence[HostChange], now: Footprint, estate: Estate) -> list[HostChange]:
    postfix = (estate.mta.main_cf, estate.mta.master_cf)
    if any(isinstance(change, EditFile) and change.path in postfix for change in back):
        why = "Postfix runs what its files say"
    elif not now.configuration_loaded:
        why = "the running Postfix has not read its present files"
    else:
        return []
    return [ReloadService(host=now.host, service="postfix", why=f"undo of {past.run}: {why}")]


def _in_order(back: Sequence[HostChange], reload: Sequence[HostChange], estate: Estate) -> Iterator[HostChange]:
    """What comes, before what refers to it; what goes, after (see planning.py: a transport without its address).

    Addresses come in the order in which they went, and go against the order in which they came: the first one of a
    subnet is its primary, and the kernel may take the others with it.
    """
    edits = [change for change in back if isinstance(change, EditFile)]
    coming = [change for change in back if isinstance(change, AddAddress)]
    interfaces = [edit for edit in edits if edit.path == estate.mta.interfaces]
    postfix = [edit for edit in edits if edit.path in (estate.mta.main_cf, estate.mta.master_cf)]
    yield from coming
    yield from interfaces if coming else ()
    yield from postfix
    yield from reload
    yield from (edit for edit in edits if edit not in (*postfix, *interfaces))
    yield from () if coming else interfaces
    yield from reversed([change for change in back if isinstance(change, RemoveAddress)])


def _owners_and_modes(past: PastRun, plan: Plan, after: Footprint) -> Iterator[Finding]:
    for edit in plan.edits():
        file, backup = after.files().get(edit.path), past.backup(edit.path)
        expected = f"{backup.owner} {backup.mode}" if backup else "those of its backup"
        seen = f"{file.owner} {file.mode}" if file else "missing"
        yield judged(f"{edit.path}, owner and mode", seen == expected, expected, seen, after.host)


def _addresses(plan: Plan, after: Footprint) -> Iterator[Finding]:
    if coming := plan.added_addresses():
        came = [change.address for change in coming if any(_is_there(change, live) for live in after.addresses)]
        expected = ", ".join(change.address for change in coming)
        yield judged("addresses that come", len(came) == len(coming), expected, ", ".join(came) or "none", after.host)
    if going := plan.removed_addresses():
        left = [change.address for change in going if change.address in after.live()]
        yield judged("addresses that go, still live", not left, "none", ", ".join(left) or "none", after.host)


def _again(past: PastRun, after: Footprint, estate: Estate) -> Finding:
    try:
        changes = len(plan(past, after, estate).changes)
        seen = f"{changes} changes" if changes else "nothing to do"
    except Refused as refusal:
        seen = "; ".join(refusal.reasons)
    return judged("the same undo again", seen == "nothing to do", "nothing to do", seen, after.host)
