"""Who has a host, and how a person takes it from a run that is dead. What `runbook lock` shows and does."""

from dataclasses import dataclass

from blocks import guard, host_lock
from blocks.ssh_host import SshHost
from deliverability.errors import Conflict
from deliverability.estate import Estate


@dataclass(frozen=True)
class Lock:
    """A host, who holds it now (None: nobody), and the run that was there last (None: there was none)."""

    host: str
    holder: host_lock.Holder | None
    last: guard.Last | None

    @property
    def free(self) -> bool:
        """Whether a run may begin: nobody holds the host, and no guard is between armed and settled."""
        return self.holder is None and (self.last is None or self.last.settled or self.last.state == "new")

    def __str__(self) -> str:
        lines = [f"{self.host}: {self.holder or 'held by nobody'}"]
        if self.last is not None:
            lines.append(f"{self.host}: {self.last}")
        if self.holder is None and not self.free:
            lines.append(
                f"{self.host}: that run is dead; the next run undoes it first, and so does: runbook lock release"
            )
        return "\n".join(lines)


def status(estate: Estate) -> Lock:
    """Who has the sending host. Only looks."""
    with _mta(estate).observe() as reader:
        return Lock(reader.name, host_lock.holder(reader), guard.last(reader))


def release(estate: Estate, run: str, by: str, reason: str) -> list[str]:
    """Declare a run dead: undo what it left, then end its hold. What was done, a line each.

    In this order, for a run that lives after all can change nothing once its guard has undone it. Raises Conflict if
    this run neither holds the host nor left it unsettled, Held or UndoFailed if its undo fails.
    """
    with _mta(estate).operate() as host:
        holder, last = host_lock.holder(host), guard.last(host)
        unsettled = last is not None and last.run == run and not last.settled
        if not unsettled and (holder is None or holder.run != run):
            raise Conflict(
                f"run {run} neither holds {host.name} nor left it unsettled", next_step="runbook lock status"
            )
        done = [f"{host.name}: {guard.settle(host)}"] if unsettled else []
        if holder is not None and holder.run == run:
            host_lock.release(host, run, by, reason)
            done.append(f"{host.name}: the lock of run {run} is released, by {by}: {reason}")
        return done


def _mta(estate: Estate) -> SshHost:
    return SshHost.of(estate.mta.host, estate.hosts[estate.mta.host])
