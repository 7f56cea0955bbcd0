"""Changes that no guard undoes: records at the DNS master, the From of a listmonk, a key.

There is none for them. A record or a setting is old or new, never in between, both are valid where one is planned after
the other, and a run that comes after a dead one looks at what is there and goes on. What goes wrong is undone forward,
by writing again what was there: a record under a new serial.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from blocks import hestia_dns, opendkim
from blocks.listmonk import Listmonk
from blocks.ssh_host import SshHost
from blocks.ssh_session import Writer
from deliverability.errors import HostError, RunbookError, UndoFailed, VerificationFailed
from deliverability.plan import Plan, SetListmonkFrom, SetRecord
from flows.conduct import dns_master
from flows.procedure import Run
from flows.progress import words
from reports import render

RETRY_SECONDS = 2.0

Forward = TypeVar("Forward", SetRecord, SetListmonkFrom)


@dataclass(frozen=True)
class Way(Generic[Forward]):
    """How changes of one kind are made: on which host, by what, and how a person would make one."""

    host: SshHost
    apply: Callable[[Writer, Forward], str]
    by_hand: Callable[[Forward], str]

    def back(self, begun: Sequence[Forward]) -> list[str]:
        """What a person would do to take these back, the last one first."""
        return [f"on {self.host.name}: {self.by_hand(change.inverse())}" for change in reversed(begun)]


class Changes(Generic[Forward]):
    """Changes of one kind, in order, and how far one has come."""

    def __init__(self, run: Run, host: Writer, way: Way[Forward]) -> None:
        self._run = run
        self._host = host
        self._way: Way[Forward] = way
        self.begun: list[Forward] = []

    def apply(self, changes: tuple[Forward, ...]) -> None:
        for number, change in enumerate(changes, 1):
            with self._run.timed(render.headline(change), f"[{number}/{len(changes)}]") as done:
                self.begun.append(change)
                done(self._way.apply(self._host, change))


def make_key(run: Run, host: Writer) -> Plan:
    """Make the key that the plan makes, if it does; the plan, with the record that publishes it.

    A key is never removed: until a table names it, nothing is signed with it.
    """
    plan = run.plan
    for change in plan.new_keys():
        with run.timed(render.headline(change)) as done:
            done(opendkim.make_key(host, change.domain, change.selector, change.bits))
        plan = plan.with_key(opendkim.published_record(host, change.path))
    return plan


@contextmanager
def publishing(run: Run, host: Writer) -> Iterator[Changes[SetRecord]]:
    """Publish records, and keep what was published if all goes well; else publish what was there before."""
    name = dns_master(run.estate)
    way = Way(SshHost.of(name, run.estate.hosts[name]), hestia_dns.apply, _record_by_hand)
    with _forward(run, host, way, "the old records are published again") as made:
        yield made


@contextmanager
def renaming(run: Run, host: Writer) -> Iterator[Changes[SetListmonkFrom]]:
    """Give listmonks another From, and keep it if all goes well; else give them the one they had."""
    way = Way(run.host, partial(_set_from, run), _from_by_hand)
    with _forward(run, host, way, "each listmonk has the From it had; what was done before it stands") as made:
        yield made


@contextmanager
def _forward(run: Run, host: Writer, way: Way[Forward], undone: str) -> Iterator[Changes[Forward]]:
    run.confirmed = False
    earlier = run.by_hand
    made: Changes[Forward] = Changes(run, host, way)
    try:
        yield made
    except UndoFailed:
        # What is on the other host now nobody knows: a record that it may need is not taken away.
        run.record.undo += ["once that host is right, and only then:", *way.back(made.begun)]
        raise
    except BaseException as error:
        if run.confirmed:  # what was done within these changes stands, so they have to
            run.stands(way.back(made.begun), earlier)
            raise
        if not made.begun:
            raise
        _undo(run, way, made.begun, error)
        raise VerificationFailed(
            f"{words(error)}\n  {undone}", next_step=f"runbook reports {run.record.run}"
        ) from error
    run.stands(way.back(made.begun), earlier)


def _undo(run: Run, way: Way[Forward], begun: Sequence[Forward], cause: BaseException) -> None:
    run.progress.step("undo", f"{type(cause).__name__}: {cause}")
    give_up = time.monotonic() + run.estate.guard.minutes * 60
    try:
        for change in reversed(begun):
            with run.timed(f"undo {render.headline(change)}") as done:
                done(_until_taken(run, way, change.inverse(), give_up))
    except BaseException as error:
        said = error.fact if isinstance(error, RunbookError) else f"cut short by {words(error)}"
        raise UndoFailed(
            f"{way.host.name}: what was there is not back: {said}", next_step="\n".join(way.back(begun))
        ) from cause
    run.record.undo = [f"undone because: {words(cause)}", *run.record.undo]


def _until_taken(run: Run, way: Way[Forward], change: Forward, give_up: float) -> str:
    """Over connections of its own, again and again while the host cannot do it: it may be starting anew."""
    said = False
    while True:
        try:
            with way.host.operate() as host, run.still_holding(host):
                return way.apply(host, change)
        except HostError as error:
            if time.monotonic() > give_up:
                raise
            if not said:
                run.progress.step("undo", f"{error.fact}; trying until it can be done")
            said = True
            time.sleep(RETRY_SECONDS)


def _set_from(run: Run, host: Writer, change: SetListmonkFrom) -> str:
    return Listmonk.of(change.instance, run.estate.listmonk[change.instance]).set_from(host, change)


def _from_by_hand(change: SetListmonkFrom) -> str:
    return f"in listmonk {change.instance}: Settings, General, Default from: {change.after}"


def _record_by_hand(change: SetRecord) -> str:
    """What a person would type on the master; the id is in the listing."""
    where = f"{change.owner} {change.zone}"
    if change.after is None:
        return f"v-delete-dns-record {where} ID   # the one of {change.name} with {change.before}"
    priority = "" if change.priority is None else f" {change.priority}"
    if change.before is None:
        return f"v-add-dns-record {where} {change.name} {change.type} '{change.after}'{priority}"
    return f"v-change-dns-record {where} ID {change.name} {change.type} '{change.after}'   # ID of: {change.before}"
