"""Every error this project raises, in one tree.

    RunbookError                     exit 1   something is wrong; the message says what to type next
    ├── EstateError                           the estate file
    ├── MalformedFile                         a file on a host that cannot be understood
    ├── SpfError                              an SPF record for which receivers answer permerror
    ├── BadReport                             a DMARC report, or the mail it came in, that cannot be used
    ├── LookupFailed                          a question to DNS that has no answer now
    ├── HostError                             a host that cannot be worked with
    │   ├── HostUnreachable                       no connection, or it died
    │   ├── HostKeyMismatch                       the host is not the one we know
    │   ├── CommandFailed                         a command ended with an error
    │   ├── CommandTimedOut                       a command did not end in time
    │   └── ReadOnlyViolation                     a write was tried while observing
    ├── RehearsalError                        the rehearsal estate
    │   ├── RehearsalUnavailable                  this machine cannot run it
    │   ├── HostFailed                            one of its hosts died, or was not ready in time
    │   └── NotIsolated                           this network has, or may have, a way out to the real one
    ├── StoreError                            the store of DMARC reports
    │   └── StoreAway                             it does not answer now
    ├── MailboxError                          a mailbox that cannot be read
    │   └── MailboxAway                           it does not answer now
    ├── ServerError                           the local Prefect server
    ├── NotificationFailed                    a person who is needed could not be told
    ├── GateError                             an answer to a gate that cannot be taken
    ├── Refused                      exit 3   a safety rule says no; nothing was changed
    │   ├── Rejected                              a person (or a timeout) said no
    │   ├── PlanChanged                           the estate is not the one that was approved
    │   └── Conflict                              a compare-and-set met an unexpected value
    ├── VerificationFailed           exit 4   the change was applied, failed its proof, and was undone
    ├── UndoFailed                   exit 5   a person is needed on the host now
    └── Held                         exit 75  another run has the host

A message is at most three parts: the fact, the limit it met, and the next command to type.
"""

from collections.abc import Sequence

FINDINGS = 6
"""Exit code of a check that found something: no error, the run did what it is there for."""


class RunbookError(Exception):
    """Base of all errors; `exit_code` is what the `runbook` command returns for it."""

    exit_code = 1

    def __init__(self, fact: str, *, next_step: str = "") -> None:
        """`fact` says what is wrong and where; `next_step` is what the reader types or does next."""
        self.fact = fact
        self.next_step = next_step
        super().__init__(fact)

    def __str__(self) -> str:
        return f"{self.fact}\n  next: {self.next_step}" if self.next_step else self.fact

    def __reduce__(self) -> tuple[object, ...]:
        # Prefect pickles exceptions of failed tasks; keyword arguments would be lost.
        return (_rebuild, (type(self), self.__dict__, self.args))


def _rebuild(kind: type[RunbookError], state: dict[str, object], args: tuple[object, ...]) -> RunbookError:
    error = kind.__new__(kind)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class EstateError(RunbookError):
    """The estate file is missing, is not TOML, or says something the model does not allow."""


class MalformedFile(RunbookError):
    """A file of a host (or a program's output) that cannot be understood; nothing is planned on a guess."""

    def __init__(self, path: str, line: int, fact: str) -> None:
        self.path = path
        self.line = line
        super().__init__(f"{path}:{line}: {fact}", next_step=f"correct line {line} of {path} and plan again")


class SpfError(RunbookError):
    """An SPF record for which every receiver answers permerror, as if none were there. The fact names the term."""


class BadReport(RunbookError):
    """A DMARC report, or the mail that it came in, cannot be used. The fact says why; what was dropped is kept raw."""


class LookupFailed(RunbookError):
    """A question to DNS has no answer now (SERVFAIL, time-out, bogus): nothing may be concluded from it."""


class HostError(RunbookError):
    """A host that cannot be worked with."""


class HostUnreachable(HostError):
    """No connection to the host, or the connection died."""


class HostKeyMismatch(HostError):
    """The host's key is unknown or is not the pinned one."""


class CommandFailed(HostError):
    """A command on a host, or a local one, ended with an error."""


class CommandTimedOut(HostError):
    """A command did not end within its time."""


class ReadOnlyViolation(HostError):
    """Something that may only look tried to write: a defect in this project, stopped before it reached the host."""


class RehearsalError(RunbookError):
    """The rehearsal estate is not running, or cannot do what was asked."""


class RehearsalUnavailable(RehearsalError):
    """This machine cannot run the rehearsal estate as it is now."""


class HostFailed(RehearsalError):
    """A host of the rehearsal died, or was not ready in time. Carries the end of its console."""


class NotIsolated(RehearsalError):
    """The current network namespace has, or may have, a way out to the real network."""


class ServerError(RunbookError):
    """The local Prefect server cannot be started or reached."""


class StoreError(RunbookError):
    """The store of DMARC reports cannot be used."""


class StoreAway(StoreError):
    """It does not answer, or has no room: it may in a while."""


class MailboxError(RunbookError):
    """A mailbox cannot be used, or refuses the login."""


class MailboxAway(MailboxError):
    """It does not answer: it may in a while."""


class NotificationFailed(RunbookError):
    """Somebody who is to be told could not be. No message repeats an address: it may hold a token."""


class GateError(RunbookError):
    """An answer to a gate that cannot be taken: nothing waits there, or the answer is incomplete."""


class Refused(RunbookError):
    """A safety rule says no. Nothing was changed. `reasons` holds one sentence for each rule that was met."""

    exit_code = 3

    def __init__(self, fact: str, reasons: Sequence[str] = (), *, next_step: str = "") -> None:
        self.reasons = tuple(reasons)
        listed = "".join(f"\n  - {reason}" for reason in self.reasons)
        super().__init__(fact + listed, next_step=next_step)


class Rejected(Refused):
    """A person rejected the plan, or nobody approved it in time."""


class PlanChanged(Refused):
    """The estate changed between the approval and the change; the approval does not hold for the new plan."""


class Conflict(Refused):
    """A change found another value than the one it was planned against."""


class VerificationFailed(RunbookError):
    """The change was made, its verification failed, and it was undone."""

    exit_code = 4


class UndoFailed(RunbookError):
    """The change was made, its verification failed, and undoing it failed as well."""

    exit_code = 5


class Held(RunbookError):
    """Another run holds the host."""

    exit_code = 75
