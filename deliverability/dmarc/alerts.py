"""What a person should know of the reports; nothing that they need not.

An alert rests on reports whose sender is proved. It is told once, and once more when it is over.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from math import sqrt

from deliverability.dmarc.traffic import Kind, Line, kinds, network

_Z = 1.96
"""Of a normal distribution, for 95 % confidence."""


_NO_FORWARDER = 10
"""Times the messages of spoofing, from which on a signature that does not fit is no excuse: anybody can invent one."""

STRANGERS = (Kind.UNKNOWN, Kind.PERHAPS)


class Urgency(StrEnum):
    """How soon a person should look."""

    URGENT = "urgent"
    WARNING = "warning"


@dataclass(frozen=True)
class Alert:
    """`fingerprint` is the same as long as it is about the same thing."""

    fingerprint: str
    urgency: Urgency
    text: str


@dataclass(frozen=True)
class Policy:
    """Limits, from the estate file."""

    min_pass_percent: float
    min_messages: int
    """From one own address, below which its rate says nothing."""
    spoof_messages: int
    """Failing messages from one other network, or from all scattered ones together."""
    silence_hours: float
    """Without any report."""
    reporter_silence_days: float
    """Without a report of a usual reporter."""
    max_unusable_percent: float
    """Of mails that brought a report."""


@dataclass(frozen=True)
class Look:
    """What alerts are judged by."""

    now: datetime
    lines: tuple[Line, ...]
    """Of the policy's window, from reports with a proved sender."""
    own: Mapping[str, str]
    """Address -> whose stream."""
    ours: Collection[str]
    """Our domains."""
    forwarders: Collection[IPv4Network | IPv6Network]
    reporters: Mapping[str, tuple[int, datetime]]
    """Proved sender -> on how many days of the last 30 it reported, and when its last report came."""
    last_report: datetime | None
    usable: int
    unusable: int
    """Mails of the window with a report, and those whose report could not be used."""
    published: Mapping[str, str]
    """Domain -> p, as the estate has it."""
    seen: Mapping[str, Mapping[str, int]]
    """Domain -> p as reporters saw it -> reports of the last two days."""


def judge(look: Look, policy: Policy) -> list[Alert]:
    """All that is to be told now, the most urgent first."""
    whose = kinds(look.lines, look.own, look.ours, look.forwarders)
    found = [
        *_strangers_that_pass(look, policy, whose),
        *_own(look, policy),
        *_spoofing(look, policy, whose),
        *_silence(look, policy),
        *_unusable(look, policy),
        *_other_policy(look),
    ]
    return sorted(found, key=lambda alert: (alert.urgency is not Urgency.URGENT, alert.fingerprint))


def bounds(passed: int, total: int) -> tuple[float, float]:
    """Wilson's interval of a share, in percent: what the true rate is, given so few messages."""
    share = passed / total
    spread = _Z * sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    middle, scale = share + _Z**2 / (2 * total), 1 + _Z**2 / total
    return 100 * max(0.0, (middle - spread) / scale), 100 * min(1.0, (middle + spread) / scale)


def _own(look: Look, policy: Policy) -> Iterable[Alert]:
    for source, stream in look.own.items():
        lines = [line for line in look.lines if line.source == source]
        total, passed = sum(line.count for line in lines), sum(line.count for line in lines if line.passed)
        if total < policy.min_messages or bounds(passed, total)[1] >= policy.min_pass_percent:
            continue
        failing = Counter[str]()
        for line in lines:
            if not line.passed:
                failing[line.sender] += line.count
        (first, most), *_ = failing.most_common(1)
        others = total - sum(line.count for line in lines if line.sender == first)
        failed_elsewhere = total - passed - most
        only = (
            ""
            if others and 100 * failed_elsewhere / others > 100 - policy.min_pass_percent
            else f"; only {first} says so"
        )
        text = f"{source} ({stream}): {100 * passed / total:.1f} % of {total} messages pass DMARC{only}"
        yield Alert(f"own {source}", Urgency.WARNING if only else Urgency.URGENT, text)


def _strangers_that_pass(look: Look, policy: Policy, whose: Mapping[str, Kind]) -> Iterable[Alert]:
    """A forgotten relay, or a leaked key: it may send whatever it wants in our name.

    A few that pass by their signature alone were sent on by somebody's forwarding, which leaves signatures whole.
    """
    by_spf, by_dkim = Counter[str](), Counter[str]()
    for line in look.lines:
        if whose[line.source] in STRANGERS and line.passed:
            (by_spf if line.spf_aligned else by_dkim)[line.source] += line.count
    for source in sorted({*by_spf, *by_dkim}):
        if by_spf[source]:
            text = f"{source} is none of ours, and {by_spf[source]} messages from it pass by SPF: a forgotten relay?"
            yield Alert(f"passes {source}", Urgency.URGENT, text)
        elif by_dkim[source] >= policy.spoof_messages:
            text = f"{source} is none of ours, and {by_dkim[source]} messages from it bear our signature: a leaked key?"
            yield Alert(f"passes {source}", Urgency.URGENT, f"{text} If it forwards, name it in dmarc.forwarders")


def _spoofing(look: Look, policy: Policy, whose: Mapping[str, Kind]) -> Iterable[Alert]:
    failing, perhaps = Counter[str](), Counter[str]()
    for line in look.lines:
        if whose[line.source] in STRANGERS and not line.passed:
            (failing if whose[line.source] is Kind.UNKNOWN else perhaps)[network(line.source)] += line.count
    many = {one: count for one, count in failing.items() if count >= policy.spoof_messages}
    for one, count in many.items():
        yield Alert(f"spoofing {one}", Urgency.WARNING, f"{one} sent {count} messages as us that fail DMARC")
    for one, count in perhaps.items():
        if count >= policy.spoof_messages * _NO_FORWARDER:
            text = f"{one} sent {count} messages as us with signatures of ours that do not fit: if it forwards,"
            yield Alert(f"spoofing {one}", Urgency.WARNING, f"{text} name it in dmarc.forwarders")
    scattered = failing.total() - sum(many.values())
    if scattered >= policy.spoof_messages and len(failing) > len(many):
        text = f"{len(failing) - len(many)} other addresses sent {scattered} messages as us that fail DMARC"
        yield Alert("spoofing scattered", Urgency.WARNING, text)


def _silence(look: Look, policy: Policy) -> Iterable[Alert]:
    if look.last_report is None:
        yield Alert("no reports", Urgency.URGENT, "no report ever came: is the mailbox reachable, and rua published?")
        return
    hours = (look.now - look.last_report) / timedelta(hours=1)
    if hours > policy.silence_hours:
        text = f"no report at all for {hours:.0f} hours: is the mailbox reachable, and rua published?"
        yield Alert("no reports", Urgency.URGENT, text)
        return
    for sender, (days, last) in look.reporters.items():
        silent = (look.now - last) / timedelta(days=1)
        if days >= 10 and silent > policy.reporter_silence_days:
            yield Alert(f"silent {sender}", Urgency.WARNING, f"no report from {sender} for {silent:.0f} days")


def _unusable(look: Look, policy: Policy) -> Iterable[Alert]:
    total = look.usable + look.unusable
    if look.unusable and 100 * look.unusable / total > policy.max_unusable_percent:
        text = f"{look.unusable} of {total} mails with a report could not be used"
        yield Alert("unusable", Urgency.WARNING, text)


def _other_policy(look: Look) -> Iterable[Alert]:
    for domain, wanted in look.published.items():
        others = {p: count for p, count in look.seen.get(domain, {}).items() if p != wanted}
        for p, count in others.items():
            text = f"{domain} is published with p={wanted}, and {count} reports saw p={p}"
            yield Alert(f"policy {domain} {p}", Urgency.WARNING, text)
