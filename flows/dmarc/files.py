"""The DMARC report of files, without an estate: whoever has reports sees in a minute who sends in their name."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blocks import dmarc_files
from blocks.dmarc_figures import Figures
from blocks.dmarc_store import DmarcStore
from deliverability.dmarc import intake, summary
from deliverability.dmarc.intake import Outcome, Result, Rules
from deliverability.dmarc.traffic import kinds
from deliverability.errors import BadReport
from reports import charts
from reports.dmarc import DmarcReport, Unusable

TREND_DAYS = 30

Progress = Callable[[int, str], None]


def report(paths: Iterable[Path], progress: Progress = lambda count, name: None, pictures: bool = True) -> DmarcReport:
    """Read them all. What cannot be used is in the report, with its reason; the rest is counted, once.

    Raises RunbookError for a path that is not there. `progress` is told the number and the name of each file.
    """
    rules = Rules(now=datetime.now(UTC).timestamp())
    outcomes, dropped, unusable = Counter[str](), Counter[str](), list[Unusable]()
    with DmarcStore("sqlite://") as store:
        for count, item in enumerate(dmarc_files.items(paths), 1):
            progress(count, item.name)
            if isinstance(item.content, BadReport):
                result = Result(outcome=Outcome.QUARANTINED, reasons=[item.content.fact])
            else:
                result = intake.take_file(item.content, store, rules)
            outcomes[result.outcome] += 1
            dropped += result.dropped
            if result.outcome is Outcome.OTHER:
                unusable.append(Unusable(item.name, "there is no report in it"))
            elif result.reasons:
                unusable.append(Unusable(item.name, result.reason))
        lines = list(Figures(store).lines(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)))
    days = [line.day for line in lines] or [datetime.now(UTC).date()]
    first, last = min(days), max(days)
    trend = max(first, last - timedelta(days=TREND_DAYS - 1))
    found = summary.summarise(lines, {}, kinds(lines, {}, ()), first, last, trend)
    return DmarcReport(
        title="reports in files",
        first=first,
        last=last,
        summary=found,
        mails=outcomes,
        all_unusable=unusable,
        dropped=dropped,
        charts=[charts.volume(found.days)] if pictures and lines else [],
    )
