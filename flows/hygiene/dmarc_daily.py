"""Daily DMARC.

When     every day at 06:20 UTC, by its schedule; by hand with `all` after a change of the reading, for all mails anew.
Changes  no host. Adds reports to the store, and flags their mails in the mailbox: seen, or flagged where a person may
         want to look.
Undo     none needed: a report counts once, however often it is read.
Needs    the mailbox's login in the environment (dmarc.imap), and the store (dmarc.store).
"""

from prefect import flow
from prefect.client.schemas.objects import State

from flows.daily import Daily, conducted
from flows.dmarc.fetch import fetch, find
from flows.dmarc.judging import judge, look, say, tell
from flows.dmarc.stores import opened_store
from reports.record import Record

PROCEDURE = "dmarc-daily"


@flow(name=PROCEDURE)
def dmarc_daily(estate: str, dry_run: bool = False, all: bool = False, alert: bool = True) -> State[Record]:
    """Fetch what is new, store it, and tell a person what they should know.

    `dry_run` stores, flags and tells nothing; `all` reads mails that were read before too; without `alert` nobody is
    told.
    """

    def body(run: Daily) -> None:
        with opened_store(run.estate, dry_run) as store:
            mails = find(estate, store, all)
            fetch(estate, mails)
            seen = look(estate, mails)
            alerts = judge(seen)
            say(run, seen, alerts)
            if alert and not dry_run:
                run.progress.step("tell", tell(estate, mails, alerts))

    return conducted(PROCEDURE, estate, body)
