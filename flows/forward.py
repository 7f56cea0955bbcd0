"""Changes to DNS: what goes wrong is undone forward, by publishing again what was there, under a new serial.

There is no guard on the master: a record is old or new, never in between, both are valid where one is planned after the
other, and a run that comes after a dead one looks at what is published and goes on from there.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from blocks import hestia_dns
from blocks.ssh_session import Writer
from deliverability.errors import RunbookError, UndoFailed, VerificationFailed
from deliverability.plan import SetRecord
from flows.procedure import Run
from reports import render


class Publishing:
    """The records of a run's plan, in order, and how far it has come."""

    def __init__(self, run: Run, host: Writer) -> None:
        self._run = run
        self._host = host
        self.begun: list[SetRecord] = []

    def apply(self) -> None:
        records = self._run.plan.records()
        for number, change in enumerate(records, 1):
            with self._run.timed(render.headline(change), f"[{number}/{len(records)}]") as done:
                self.begun.append(change)
                done(hestia_dns.apply(self._host, change))


@contextmanager
def publishing(run: Run, host: Writer) -> Iterator[Publishing]:
    """Publish, and keep what was published if all goes well; else publish what was there before."""
    published = Publishing(run, host)
    try:
        yield published
    except BaseException as error:
        if published.begun:
            _undo(run, published.begun, error)
        raise VerificationFailed(
            f"{error}\n  the old records are published again", next_step=f"runbook reports {run.record.run}"
        ) from error
    run.confirmed = True
    run.record.undo = ["in this order:", *(_by_hand(change.inverse()) for change in reversed(published.begun))]


def _undo(run: Run, begun: list[SetRecord], cause: BaseException) -> None:
    run.progress.step("undo", f"{type(cause).__name__}: {cause}")
    by_hand = "\n".join(f"on {run.host.name}: {_by_hand(change.inverse())}" for change in reversed(begun))
    try:
        # Over a connection of its own: the one before may be what failed.
        with run.host.operate() as fresh:
            for change in reversed(begun):
                with run.timed(f"undo {render.headline(change)}") as done:
                    done(hestia_dns.apply(fresh, change.inverse()))
    except RunbookError as error:
        raise UndoFailed(f"{run.host.name}: the old records are not back: {error.fact}", next_step=by_hand) from cause
    run.record.undo = [f"undone because: {cause}"]


def _by_hand(change: SetRecord) -> str:
    """What a person would type on the master; the id is in the listing."""
    where = f"{change.owner} {change.zone}"
    if change.after is None:
        return f"v-delete-dns-record {where} ID   # the one of {change.name} with {change.before}"
    if change.before is None:
        return f"v-add-dns-record {where} {change.name} {change.type} '{change.after}'"
    return f"v-change-dns-record {where} ID {change.name} {change.type} '{change.after}'   # ID of: {change.before}"
