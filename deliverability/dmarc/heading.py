"""The head of an aggregate report, and whether a report with it is taken at all."""

from collections.abc import Mapping
from dataclasses import dataclass

from deliverability.dmarc import values
from deliverability.dmarc.limits import Limits
from deliverability.dmarc.report import Header
from deliverability.errors import BadReport


@dataclass(frozen=True)
class Acceptance:
    """What a report may be about."""

    ours: frozenset[str] | None
    limits: Limits
    now: float

    def is_ours(self, domain: str) -> bool:
        """Whether a domain is one of ours or below one; one that is not named is nobody else's."""
        if self.ours is None or not domain or domain in self.ours:
            return True
        labels = domain.split(".")[:20]
        return any(".".join(labels[start:]) in self.ours for start in range(1, len(labels)))


def header(metadata: Mapping[str, str], published: Mapping[str, str], accepted: Acceptance) -> Header:
    """Raises BadReport."""
    get = metadata.get
    begin, end = _range(get("begin", ""), get("end", ""), accepted)
    email = get("email", "")[:320]
    policy = {name: value for name, value in published.items() if value}
    domain = policy.pop("domain", "").rstrip(".")
    if not domain:
        raise BadReport("it names no domain")
    if not accepted.is_ours(domain):
        raise BadReport(f"it is about {domain}, which is none of ours")
    return Header(
        org_name=(get("org_name") or email.rpartition("@")[2])[:255],
        email=email,
        report_id=get("report_id", "")[:255],
        begin=begin,
        end=end,
        domain=domain,
        policy=policy,
        error=get("error", "")[:1000],
        generator=get("generator", "")[:255],
    )


def _range(first: str, last: str, accepted: Acceptance) -> tuple[int, int]:
    limits = accepted.limits
    try:
        begin, end = sorted((values.instant(first), values.instant(last)))
    except ValueError:
        raise BadReport(f"its time is no time: {first[:40]!r} to {last[:40]!r}") from None
    if end - begin > limits.span:
        raise BadReport(f"it covers {(end - begin) // 86_400} days, the limit is {limits.span // 86_400}")
    if not accepted.now - limits.age <= begin <= end <= accepted.now + limits.future:
        raise BadReport(f"its time is out of bounds: {first[:40]!r} to {last[:40]!r}")
    return begin, end
