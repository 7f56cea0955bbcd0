"""What the mailbox shows to a person of what was read: seen, or flagged where somebody may want to look."""

from collections.abc import Iterator
from contextlib import contextmanager

from blocks.mailbox import OpenMailbox
from deliverability.dmarc.intake import Outcome

TO_LOOK_AT = (Outcome.QUARANTINED, Outcome.CONFLICT, Outcome.OTHER)

FLAG_EVERY = 50
"""Mails: each change is a round trip."""


class Flags:
    """Flags to be set, some mails at a time; none without a mailbox."""

    def __init__(self, box: OpenMailbox | None) -> None:
        self._box = box
        self._seen: list[int] = []
        self._flagged: list[int] = []

    def add(self, uid: int, outcome: str | None) -> None:
        if outcome is not None:
            (self._flagged if outcome in TO_LOOK_AT else self._seen).append(uid)
        if len(self._seen) + len(self._flagged) >= FLAG_EVERY:
            self.flush()

    def flush(self) -> None:
        if self._box is not None:
            self._box.seen(self._seen)
            self._box.flagged(self._flagged)
        self._seen, self._flagged = [], []


@contextmanager
def flagging(box: OpenMailbox | None) -> Iterator[Flags]:
    """All are set at the end; what a run that dies has not set, the next one sets."""
    flags = Flags(box)
    yield flags
    flags.flush()
