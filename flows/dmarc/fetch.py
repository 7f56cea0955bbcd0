"""Mails out of the mailbox into the store. What becomes of each is in the store's ledger, so that whoever goes on after
a crash, or beside another worker, finds what is left to do."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from prefect import runtime, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.deployments import run_deployment

from blocks.dmarc_store import DmarcStore, Entry
from blocks.mailbox import Fetched, Mailbox
from blocks.resolver import PublicResolver
from deliverability import authentication
from deliverability.dmarc import intake
from deliverability.dmarc.intake import Outcome, Result, Rules
from deliverability.dmarc.limits import LIMITS, MEGABYTE
from deliverability.errors import MailboxAway, MailboxError, StoreAway
from deliverability.estate import Estate
from flows.dmarc.counted import Counted
from flows.dmarc.flags import flagging
from flows.dmarc.stores import store_url
from flows.opening import open_estate
from flows.progress import Progress

PART = 1_000
"""Mails that one worker takes at a time, when there are more."""

PART_FLOW = "dmarc-part"
PART_SECONDS = 3_600.0
SHOWN_FROM = 100
"""Mails from which on progress is shown."""


@dataclass(frozen=True)
class Mails:
    """Mails of the mailbox that a run is to read."""

    store: str
    """Where what they report goes, and the ledger."""
    uidvalidity: int
    uids: list[int]
    again: bool = False
    """Whether they are read even if the ledger has them."""
    flag: bool = True
    """Whether the mailbox is to show what was read."""

    def parts(self) -> list["Mails"]:
        starts = range(0, len(self.uids), PART)
        return [replace(self, uids=self.uids[start : start + PART]) for start in starts]


async def _is_away(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """A mailbox or a store that does not answer may answer in a while; what was added meanwhile is added."""
    error: object = await state.aresult(raise_on_failure=False)
    if not isinstance(error, MailboxAway | StoreAway):
        return False
    Progress().step("wait", f"{error.fact}; it is tried again, for some minutes")
    return True


AGAIN: dict[str, Any] = {"retries": 4, "retry_delay_seconds": [5, 20, 60, 120], "retry_condition_fn": _is_away}


@task(**AGAIN)
def find(estate: str, to: str, all: bool) -> Mails:
    """Which mails are not in the ledger, or all; `to` is the store they go to. Raises MailboxError, StoreError."""
    settings = open_estate(estate)
    mailbox = Mailbox.of(settings.dmarc)
    url = store_url(settings)
    with mailbox.open() as box:
        with DmarcStore(url, make=url == to) as kept:
            ledger = kept.ledger(mailbox.name, box.uidvalidity)
        if url == to:  # a run that died had no time to flag what it had stored
            with flagging(box) as flags:
                for uid in box.unseen():
                    flags.add(uid, ledger.get(uid))
        uids = [uid for uid in box.uids() if all or uid not in ledger]
        return Mails(to, box.uidvalidity, uids, again=all, flag=url == to)


def fetch(estate: str, mails: Mails) -> None:
    """Read the mails in parts: here, or, if this run is a worker's and there are several, on all workers.

    Raises MailboxError, StoreError.
    """
    parts = mails.parts()
    if len(parts) < 2 or not runtime.deployment.id or not mails.flag:
        for part in parts:
            read(estate, part)
        return
    counted = Counted(len(parts), "parts", 1)
    for future in [read_on_a_worker.submit(estate, part, number) for number, part in enumerate(parts, 1)]:
        future.result()
        counted.step()


@task(task_run_name="part {number} on a worker")
def read_on_a_worker(estate: str, mails: Mails, number: int) -> None:
    """Raises MailboxError if the part is not read: the next run does it."""
    name = f"{PART_FLOW}/{runtime.deployment.name}"
    # Not the store: Prefect keeps and shows a run's parameters, and its address may have a password.
    settings: dict[str, Any] = {"estate": estate, "uidvalidity": mails.uidvalidity, "uids": mails.uids}
    settings["again"] = mails.again
    run: Any = run_deployment(name, parameters=settings, timeout=PART_SECONDS, poll_interval=1)
    if run.state is None or not run.state.is_completed():
        words = run.state.message if run.state and run.state.is_final() else f"not done in {PART_SECONDS:.0f} s"
        raise MailboxError(f"a part of the mails was not read: {words}", next_step="run again: it reads what is left")


@task(**AGAIN)
def read(estate: str, mails: Mails) -> None:
    """Add what these mails report. Raises MailboxError, StoreError."""
    settings = open_estate(estate)
    mailbox = Mailbox.of(settings.dmarc)
    rules = rules_of(settings)
    with DmarcStore(mails.store) as kept, mailbox.open() as box:
        if box.uidvalidity != mails.uidvalidity:
            raise MailboxError(f"{mailbox.name} numbers its mails anew", next_step="run again")
        ledger = {} if mails.again else kept.ledger(mailbox.name, box.uidvalidity)
        todo = [uid for uid in mails.uids if uid not in ledger]  # else this run had read it when it had to try again
        counted = Counted(len(todo), "mails", SHOWN_FROM)
        with flagging(box if mails.flag else None) as flags:
            for mail in box.fetch(todo, LIMITS.mail):
                result = _take(mail, kept, rules)
                entry = Entry(mail.uid, result.message_id, result.sha256, result.outcome, result.reason)
                kept.enter(mailbox.name, box.uidvalidity, entry, mail.raw)
                flags.add(mail.uid, result.outcome)
                counted.step()


def rules_of(estate: Estate) -> Rules:
    resolver = PublicResolver.of(estate)
    return Rules(
        now=datetime.now(UTC).timestamp(),
        ours=tuple(estate.domains),
        authserv_ids=tuple(name.lower() for name in estate.dmarc.authserv_ids),
        signatures=lambda raw: authentication.signatures(raw, resolver.lookup),
    )


def _take(mail: Fetched, kept: DmarcStore, rules: Rules) -> Result:
    if mail.raw is None:
        words = f"{mail.size // MEGABYTE} MB, the limit is {LIMITS.mail // MEGABYTE}: it was not fetched"
        return Result(outcome=Outcome.QUARANTINED, reasons=[words])
    return intake.take(mail.raw, kept, rules)
