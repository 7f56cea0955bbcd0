"""The daily report of the rehearsal's week of mail, with all that strangers wrote into it."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from blocks.dmarc_figures import Figures
from blocks.dmarc_store import DmarcStore
from deliverability.dmarc import intake
from deliverability.dmarc.alerts import Alert, Urgency
from deliverability.dmarc.intake import Rules
from deliverability.dmarc.summary import summarise
from deliverability.dmarc.traffic import kinds
from rehearsal.dmarc import week
from reports import charts
from reports.dmarc import DmarcReport, Unusable, markdown

SMALL = 20_000
"""Bytes of a mail: the others are large to exhaust who reads them, and bring no text."""

OURS = ("performancewest.net",)
OWN = dict(zip(week.OWN, ("stream trucking", "stream healthcare", "stream transactional"), strict=True))
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
"""As it stands in a report; see the attacks."""
SHOWN = (
    SCRIPT,
    "[click](javascript:document.title='owned') ![x](http://192.0.2.1/x.png)",
    "a | b | # Heading - item",
    '=HYPERLINK("http://192.0.2.1")',
    "{{ 7*7 }}{% raw %}%s{0}${HOME}",
    "<U+202E>gro.live<U+202C>",
    "http://192.0.2.1/ for 4 days",
)
"""What a person has to see of them, to the letter."""


def text() -> str:
    """The report as Markdown."""
    now = datetime.now(UTC)
    midnight = int(time.time()) // week.DAY_SECONDS * week.DAY_SECONDS
    rules = Rules(now=now.timestamp(), ours=OURS, authserv_ids=(week.MX,))
    mails = [raw for raw in week.make(midnight).mails if len(raw) < SMALL]
    with DmarcStore("sqlite://") as store:
        results = [intake.take(raw, store, rules) for raw in mails]
        lines = list(Figures(store).lines(now - timedelta(days=30), now))
    last = max(line.day for line in lines)
    first, trend = last - timedelta(days=6), last - timedelta(days=29)
    figures = summarise(lines, OWN, kinds(lines, OWN, OURS), first, last, trend)
    return markdown(
        DmarcReport(
            title=f"rehearsal {SCRIPT}",
            first=first,
            last=last,
            summary=figures,
            mails=Counter(str(result.outcome) for result in results),
            alerts=[Alert("x", Urgency.URGENT, f"no report from {SCRIPT} http://192.0.2.1/ for 4 days")],
            all_unusable=[
                Unusable(f"UID {number} {result.message_id}", result.reason)
                for number, result in enumerate(results)
                if result.reason
            ],
            dropped=sum((result.dropped for result in results), Counter()),
            charts=[charts.volume(figures.days), charts.rates(figures.by_address, 95)],
        )
    )
