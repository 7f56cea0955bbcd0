"""Part of a large dmarc-daily: some thousand mails, read by whichever worker is free.

When     dmarc-daily starts it, several at once.
Changes  no host. Adds reports to the store, and flags their mails, as dmarc-daily does.
Undo     none needed: a report counts once, however often it is read.
Needs    what dmarc-daily needs; a store that all workers reach.
"""

from prefect import flow

from flows.dmarc.fetch import PART_FLOW, Mails, read
from flows.dmarc.stores import store_url
from flows.opening import open_estate


@flow(name=PART_FLOW)
def dmarc_part(estate: str, uidvalidity: int, uids: list[int], again: bool = False) -> None:
    """Read these mails. Raises MailboxError, StoreError."""
    read(estate, Mails(store_url(open_estate(estate)), uidvalidity, uids, again))
