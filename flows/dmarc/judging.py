"""What the daily DMARC run does with what is in the store: look, judge, tell, say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from prefect import task
from pydantic_core import to_jsonable_python

from blocks.dmarc_figures import Figures
from blocks.dmarc_store import DmarcStore, Harvest
from blocks.mailbox import Mailbox
from blocks.notifier import Notifier
from blocks.pointers import pointers
from blocks.resolver import PublicResolver
from deliverability.dmarc import alerts as alarms
from deliverability.dmarc import summary
from deliverability.dmarc.alerts import Alert, Look, Policy, Urgency
from deliverability.dmarc.intake import Outcome
from deliverability.dmarc.summary import Summary
from deliverability.dmarc.traffic import kinds
from deliverability.errors import FINDINGS
from deliverability.finding import Finding, Verdict
from flows.daily import Daily
from flows.dmarc.fetch import AGAIN, Mails
from flows.opening import open_estate
from reports import charts
from reports.dmarc import DmarcReport, Unusable, markdown
from reports.record import Status

TREND = timedelta(days=30)
USABLE = (Outcome.REPORT, Outcome.DUPLICATE)
UNUSABLE = (Outcome.QUARANTINED, Outcome.CONFLICT)


@dataclass(frozen=True)
class Seen:
    """What the store shows."""

    harvest: Harvest
    look: Look
    policy: Policy
    figures: Summary


@task(**AGAIN)
def look(estate: str, mails: Mails) -> Seen:
    """What these mails brought, the figures of the window, and what alerts are judged by. Raises StoreError."""
    settings = open_estate(estate)
    now = datetime.now(UTC)
    own, ours = settings.own_senders(), tuple(settings.domains)
    forwarders = settings.dmarc.forwarders
    with DmarcStore(mails.store) as kept:
        stored = Figures(kept)
        lines = list(stored.lines(now - TREND, now + timedelta(days=2)))
        last = max((line.day for line in lines), default=now.date())
        first = last - timedelta(days=settings.dmarc.summary_days - 1)
        proved = tuple(line for line in lines if line.sender and line.day >= first)
        outcomes = stored.outcomes(now - timedelta(days=settings.dmarc.summary_days))
        judged = Look(
            now=now,
            lines=proved,
            own=own,
            ours=ours,
            forwarders=forwarders,
            reporters=stored.reporters(now - TREND),
            last_report=stored.last_report(),
            usable=sum(outcomes.get(one, 0) for one in USABLE),
            unusable=sum(outcomes.get(one, 0) for one in UNUSABLE),
            published=settings.published_policies(),
            seen=stored.policies(now - timedelta(days=2)),
        )
        figures = summary.summarise(
            lines, own, kinds(lines, own, ours, forwarders), first, last, (now - TREND).date() + timedelta(days=1)
        )
        names = pointers(kept, PublicResolver.of(settings), [group.name for group in figures.sources])
        harvest = kept.harvest(Mailbox.of(settings.dmarc).name, mails.uidvalidity, mails.uids)
    named = tuple(replace(group, pointer=names.get(group.name, "")) for group in figures.sources)
    policy = Policy(**{name: getattr(settings.dmarc, name) for name in Policy.__dataclass_fields__})
    return Seen(harvest, judged, policy, replace(figures, sources=named))


def judge(seen: Seen) -> list[Alert]:
    return alarms.judge(seen.look, seen.policy)


def say(run: Daily, seen: Seen, alerts: Sequence[Alert]) -> None:
    """Fill in the run's record and its report."""
    figures, harvest = seen.figures, seen.harvest
    days = figures.days
    unusable = [
        Unusable(f"UID {mail.uid} {mail.message_id}".strip(), mail.reason)
        for mail in harvest.mails
        if mail.outcome in UNUSABLE
    ]
    report = DmarcReport(
        title=run.estate.name,
        first=days[-run.estate.dmarc.summary_days].day,
        last=days[-1].day,
        summary=figures,
        mails=harvest.outcomes,
        alerts=alerts,
        all_unusable=unusable,
        dropped=harvest.dropped,
        charts=[charts.volume(days), charts.rates(figures.by_address, seen.policy.min_pass_percent)],
    )
    run.markdown = markdown(report)
    run.data = to_jsonable_python({"dmarc": figures, "mails": harvest.outcomes, "dropped": harvest.dropped})
    record = run.record
    record.status = Status.DONE
    record.exit_code = FINDINGS if alerts or unusable else 0
    record.findings = [*map(_finding, alerts)]
    record.summary = (
        f"{len(harvest.mails)} mails; {figures.total.messages} messages in {run.estate.dmarc.summary_days} days, "
        f"{figures.total.pass_percent} % pass; {len(alerts)} alerts"
    )


@task
def tell(estate: str, mails: Mails, alerts: Sequence[Alert]) -> str:
    """Tell a person what is new and what is over, each once; in words, what was told. Raises NotificationFailed."""
    settings = open_estate(estate)
    with DmarcStore(mails.store) as kept:
        new, over = kept.alerts(alerts)
        if not new and not over:
            return "nothing new to tell"
        if not settings.notifications.urls:
            return "nobody was told: notifications.urls names nobody"
        lines = [*(f"{alert.urgency}: {alert.text}" for alert in new), *(f"over: {text}" for text in over.values())]
        Notifier.of(settings).send(f"{settings.name}: DMARC, {len(new)} new, {len(over)} over", "\n".join(lines))
        kept.told(new, over)
    return f"told of {len(new)} new and {len(over)} that are over"


def _finding(alert: Alert) -> Finding:
    verdict = Verdict.FAIL if alert.urgency is Urgency.URGENT else Verdict.WARNING
    return Finding(check=alert.fingerprint, verdict=verdict, observed=alert.text)
