"""What reports say about mail in our name, and whose it is."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network


@dataclass(frozen=True)
class Line:
    """Messages of one day from one address that had the same outcome at one reporter."""

    day: date
    """On which the report begins, UTC."""
    source: str
    sender: str
    """Domain that is proved to have sent the report; "" if none is."""
    org: str
    author: str
    """Domain in From."""
    disposition: str
    dkim_aligned: bool
    spf_aligned: bool
    dkim: tuple[tuple[str, str, str], ...]
    """Domain, selector, result of every signature."""
    reasons: tuple[tuple[str, str], ...]
    count: int

    @property
    def passed(self) -> bool:
        return self.dkim_aligned or self.spf_aligned


class Kind(StrEnum):
    """Whose an address is."""

    OWN = "own"
    FORWARDER = "forwarder"
    """Sends on what others sent: it breaks SPF, and may break signatures. So a receiver says, or the operator."""
    PERHAPS = "forwarder?"
    """What it sends bears signatures of ours that no longer fit: a mailing list breaks them, a forger invents them."""
    UNKNOWN = "unknown"


_FORWARDED = {"forwarded", "mailing_list", "trusted_forwarder"}
"""Reasons for which a receiver did otherwise than the policy says (RFC 7489 appendix C; RFC 9990 drops the first)."""


def is_forwarded(line: Line) -> bool:
    """Whether a receiver says that this was sent on."""
    return any(
        kind in _FORWARDED or (kind == "local_policy" and "arc=pass" in comment.lower())
        for kind, comment in line.reasons
    )


def is_broken(line: Line, ours: Collection[str]) -> bool:
    """Whether it bears a signature of ours that does not fit."""
    return any(_below(domain, ours) and result != "pass" for domain, _, result in line.dkim)


def _below(domain: str, ours: Iterable[str]) -> bool:
    return any(f".{domain}".endswith(f".{one}") for one in ours)


def kinds(
    lines: Iterable[Line],
    own: Mapping[str, str],
    ours: Collection[str],
    forwarders: Collection[IPv4Network | IPv6Network] = (),
) -> dict[str, Kind]:
    """Whose each source is, by what most of its messages are."""
    total, forwarded, broken = Counter[str](), Counter[str](), Counter[str]()
    for line in lines:
        total[line.source] += line.count
        forwarded[line.source] += line.count * is_forwarded(line)
        broken[line.source] += line.count * is_broken(line, ours)

    def kind(source: str) -> Kind:
        if source in own:
            return Kind.OWN
        if 2 * forwarded[source] > total[source] or any(ip_address(source) in one for one in forwarders):
            return Kind.FORWARDER
        return Kind.PERHAPS if 2 * broken[source] > total[source] else Kind.UNKNOWN

    return {source: kind(source) for source in total}


def network(source: str) -> str:
    """The network that one sender has: an IPv4 address itself, of IPv6 the /64."""
    if ip_address(source).version == 4:
        return source
    return str(ip_network((source, 64), strict=False))
