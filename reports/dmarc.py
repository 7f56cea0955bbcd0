"""The DMARC report as text. All names in it are strangers', and are escaped like everything remote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from deliverability.dmarc.alerts import Alert
from deliverability.dmarc.summary import Summary
from reports.render import template

UNUSABLE_SHOWN = 50


@dataclass(frozen=True)
class Unusable:
    """A mail or a file with a report that cannot be used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class DmarcReport:
    """What a DMARC report shows; `alerts` is None where nobody has said what is to be told."""

    title: str
    first: date
    last: date
    summary: Summary
    mails: Mapping[str, int]
    alerts: Sequence[Alert] | None = None
    all_unusable: Sequence[Unusable] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    charts: Sequence[str] = ()
    """Data addresses of images."""

    @property
    def unusable(self) -> Sequence[Unusable]:
        return self.all_unusable[:UNUSABLE_SHOWN]

    @property
    def more_unusable(self) -> int:
        return len(self.all_unusable) - len(self.unusable)


def markdown(report: DmarcReport) -> str:
    return template("dmarc.md.j2").render(report=report).strip() + "\n"
