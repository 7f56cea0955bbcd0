"""A finished run as its host remembers it: the plan that was approved and the backups, in the directory of its guard.

Looks only. The host's word is taken for nothing but this: what the plan says, its backups have to confirm.
"""

import re
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from blocks.guard_arming import BASE
from blocks.ssh_session import Reader
from deliverability.errors import HostError, Refused, RunbookError
from deliverability.estate import Estate
from deliverability.plan import Plan
from deliverability.rollback import Backup, PastRun

RUN = re.compile(r"[0-9][0-9A-Za-z-]{0,63}", re.ASCII)
"""A run's name, or the beginning of one: it begins with a date. It becomes a path on the host: nothing else may."""

NEWEST = 5


def read(host: Reader, estate: Estate, beginning: str) -> PastRun:
    """The one run whose name begins so, if it has finished and was confirmed.

    Raises RunbookError for what can be no run's name, Refused for a run that is not there, is not finished, was undone,
    or was another estate's; HostError when what it left cannot be read.
    """
    run = _find(host, beginning)
    directory = f"{BASE}/{run}"
    names = ("state", "deadline", "plan.json", "files", "hashes")
    found = host.run_all(*(("cat", "--", f"{directory}/{name}") for name in names))
    state, deadline, plan, files, hashes = (result.stdout for result in found)
    _refuse_unless_confirmed(host, run, state, deadline.strip())
    approved = _plan(host, f"{directory}/plan.json", plan)
    if (approved.estate, approved.host) != (estate.name, estate.mta.host):
        raise Refused(
            f"run {run} was made for {approved.host} of estate {approved.estate}, not for {estate.mta.host} of "
            f"{estate.name}",
            next_step=f"runbook undo {run} --estate {approved.estate}",
        )
    pairs = [(name, path) for name, _, path in (line.partition("\t") for line in files.splitlines()) if path]
    return PastRun(run=run, plan=approved, backups=_backups(host, pairs, _sums(hashes)))


def _find(host: Reader, beginning: str) -> str:
    if not RUN.fullmatch(beginning):
        raise RunbookError(
            f"{beginning!r} is no run: a run's name begins with its date, and has only letters, digits and dashes",
            next_step="runbook reports   # the first column",
        )
    listed = host.run("ls", "-1", "--", BASE, check=False).stdout.splitlines()
    runs = [name for name in listed if RUN.fullmatch(name)]
    found = [name for name in runs if name.startswith(beginning)]
    if beginning in found or len(found) == 1:
        return beginning if beginning in found else found[0]
    newest = ", ".join(sorted(found or runs)[-NEWEST:]) or "none"
    raise Refused(
        f"{host.name}: {len(found) or 'no'} run{'s begin' if found else ' begins'} with {beginning}",
        next_step=f"name one of those on {host.name}, the newest are: {newest}",
    )


def _refuse_unless_confirmed(host: Reader, run: str, state: str, deadline: str) -> None:
    word, _, at = state.strip().partition(" ")
    by_hand = f"sh {BASE}/{run}/guard.sh undo"
    facts = {
        "new": ("never began to change anything", "nothing: there is nothing to undo"),
        "armed": (f"is not confirmed; its guard undoes it at {deadline}", f"wait for it, or on the host: {by_hand}"),
        "undone": (f"was undone already, at {at}", "nothing: there is nothing to undo"),
        "failed": ("was undone, but not all of it came back", f"on the host: cat {BASE}/{run}/undo.log; {by_hand}"),
    }
    if word == "disarmed":
        return
    unknown = (f"has left no state that is known: {word or 'none'}", f"look at it on the host: ls {BASE}/{run}")
    fact, next_step = facts.get(word, unknown)
    raise Refused(f"{host.name}: run {run} {fact}", next_step=next_step)


def _plan(host: Reader, path: str, text: str) -> Plan:
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        raise HostError(
            f"{host.name}: {path} is no plan: {problem['msg']}",
            next_step=f"undo it by hand: {path.rpartition('/')[0]}/files names the backups",
        ) from None


def _backups(host: Reader, pairs: Sequence[tuple[str, str]], recorded: Mapping[str, str]) -> tuple[Backup, ...]:
    names = [name for name, _ in pairs]
    if not names:
        return ()
    sums, stats = host.run_all(("sha256sum", "--", *names), ("stat", "-L", "-c", "%n\t%U:%G\t%a", "--", *names))
    now = _sums(sums.stdout)
    rights = {line.split("\t")[0]: line.split("\t")[1:] for line in stats.stdout.splitlines()}
    return tuple(
        Backup(
            path=path,
            name=name,
            recorded=recorded.get(name, ""),
            sha256=now.get(name, ""),
            owner=rights.get(name, ["", ""])[0],
            mode=rights.get(name, ["", ""])[1],
        )
        for name, path in pairs
    )


def _sums(printed: str) -> dict[str, str]:
    """The path and hash of each line of `sha256sum`."""
    return {name: digest for digest, _, name in (line.partition("  ") for line in printed.splitlines()) if name}
