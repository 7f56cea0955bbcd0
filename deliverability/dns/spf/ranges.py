"""Sets of addresses, of both families, that can be united and subtracted without listing their members."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, summarize_address_range

from deliverability.dns.spf.terms import Network

_Span = tuple[int, int]


@dataclass(frozen=True)
class Ranges:
    """Disjoint spans (first, last) in ascending order, by family."""

    four: tuple[_Span, ...] = ()
    six: tuple[_Span, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[Network]) -> "Ranges":
        listed = list(networks)
        spans = [(int(network[0]), int(network[-1])) for network in listed]
        return cls(*(_joined(s for s, n in zip(spans, listed, strict=True) if n.version == v) for v in (4, 6)))

    @classmethod
    def united(cls, parts: Iterable["Ranges"]) -> "Ranges":
        listed = list(parts)
        four, six = (span for part in listed for span in part.four), (span for part in listed for span in part.six)
        return cls(_joined(four), _joined(six))

    def __sub__(self, other: "Ranges") -> "Ranges":
        return Ranges(_without(self.four, other.four), _without(self.six, other.six))

    def networks(self) -> tuple[Network, ...]:
        """The fewest networks that hold exactly these addresses, IPv4 first, in ascending order."""
        four = (net for a, b in self.four for net in summarize_address_range(IPv4Address(a), IPv4Address(b)))
        six = (net for a, b in self.six for net in summarize_address_range(IPv6Address(a), IPv6Address(b)))
        return (*four, *six)


def _joined(spans: Iterable[_Span]) -> tuple[_Span, ...]:
    joined: list[_Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return tuple(joined)


def _without(spans: tuple[_Span, ...], gone: tuple[_Span, ...]) -> tuple[_Span, ...]:
    left: list[_Span] = []
    at = 0
    for first, last in spans:
        while at < len(gone) and gone[at][1] < first:
            at += 1
        here = at
        while here < len(gone) and gone[here][0] <= last:
            if gone[here][0] > first:
                left.append((first, gone[here][0] - 1))
            first, here = gone[here][1] + 1, here + 1
        if first <= last:
            left.append((first, last))
    return tuple(left)
