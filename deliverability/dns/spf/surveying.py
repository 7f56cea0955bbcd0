"""Walk through a record and all it leads to, for every client at once. Source: RFC 7208, sections 4.6.4, 5, 6.1.

Where `evaluate` asks what happens to one address, this asks what happens to each: the path of an address that nothing
matches, on which every term is met.
"""

from dataclasses import dataclass
from ipaddress import ip_network
from itertools import groupby

from deliverability.dns.spf.grammar import parse, select
from deliverability.dns.spf.lookup import Lookup
from deliverability.dns.spf.macros import UNKNOWN_BEFOREHAND, expand, letters, shortened
from deliverability.dns.spf.questions import MAX_EXCHANGES, address_type, queryable
from deliverability.dns.spf.ranges import Ranges
from deliverability.dns.spf.terms import MAX_LOOKUPS, MAX_VOIDS, QUERYING, Mechanism, Network, Spf, address
from deliverability.errors import SpfError

MAX_SURVEYED = 30
"""Terms that are followed: enough to say by how much a record exceeds MAX_LOOKUPS, and the end of every loop."""

EVERYONE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


@dataclass(frozen=True)
class Survey:
    """What a record amounts to.

    `ranges` holds every address that passes whatever the message says; `unlisted` the passing terms, as "TERM of
    DOMAIN", that decide by the message or by reverse DNS, so that nobody can list whom they let pass. One of that kind
    that does not pass is taken to match nobody. `lookups` is the most terms an evaluation meets; `voids4` and `voids6`
    the questions without an answer that an IPv4 and an IPv6 client causes; `faults` what makes the evaluation end in
    permerror, one sentence each: what stands behind the first one lets nobody pass.
    """

    ranges: Ranges
    unlisted: tuple[str, ...]
    lookups: int
    voids4: tuple[str, ...]
    voids6: tuple[str, ...]
    faults: tuple[str, ...]


def survey(spf: Spf, domain: str, lookup: Lookup) -> Survey:
    """What the record `spf` of `domain` amounts to. LookupFailed if a question it leads to has no answer."""
    walk = _Walk(lookup)
    ranges = walk.record(spf, domain.lower().removesuffix("."))
    voids4, voids6 = (tuple(walk.voids[version]) for version in (4, 6))
    return Survey(ranges, tuple(walk.unlisted), walk.lookups, voids4, voids6, tuple(dict.fromkeys(walk.faults)))


def authorised(spf: Spf, domain: str, lookup: Lookup) -> tuple[Network, ...]:
    """The networks from which mail passes, whatever it says: the fewest that hold exactly these addresses, in order.

    Terms that decide by the message or by reverse DNS (exists, ptr, macros) are left out: see Survey.unlisted. Nobody
    passes by a term behind one at which the evaluation ends in permerror. LookupFailed as in `survey`.
    """
    return survey(spf, domain, lookup).ranges.networks()


def lookups(spf: Spf, domain: str = "", lookup: Lookup | None = None) -> int:
    """How many DNS-querying terms the record has; with `domain` and `lookup`, those of all it leads to as well.

    At most MAX_SURVEYED + 1 are counted; more than MAX_LOOKUPS is a permerror already.
    """
    if lookup is not None:
        return survey(spf, domain, lookup).lookups
    return sum(term.name in QUERYING for term in spf.mechanisms) + (spf.redirect is not None)


class _Walk:
    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._broken: set[int] = set()
        self.lookups = 0
        self.unlisted: list[str] = []
        self.voids: dict[int, list[str]] = {4: [], 6: []}
        self.faults: list[str] = []

    def record(self, spf: Spf, domain: str) -> Ranges:
        """Who passes by this record. The first term that matches decides, so each sees what those before it left."""
        passed, blocked = [], Ranges()
        tried = spf.mechanisms[: spf.mechanisms.index(spf.all) + 1] if spf.all else spf.mechanisms
        for passes, terms in groupby(tried, key=lambda term: term.passes):
            matched = Ranges.united([self._matched(term, domain) for term in terms])
            if passes:
                passed.append(matched - blocked)
            else:
                blocked = Ranges.united((blocked, matched))
        if spf.redirect is not None:
            passed.append(self._other(f"redirect={spf.redirect}", spf.redirect, domain, passes=True) - blocked)
        return Ranges.united(passed)

    def _matched(self, term: Mechanism, domain: str) -> Ranges:
        if term.name == "all":
            return self._sound(EVERYONE)
        if term.name in ("ip4", "ip6"):
            return self._sound((term.network,))
        if term.name == "include":
            return self._other(str(term), term.value or "", domain, passes=term.passes)
        name = self._followed(str(term), term.value or domain, domain)
        if name is None or term.name == "ptr":
            self._unlisted(str(term), domain, term.passes)
            return Ranges()
        if term.name == "exists":
            return self._sound(EVERYONE if self._ask(name, "A", (4, 6)) else ())
        hosts = self._exchanges(name) if term.name == "mx" else [name]
        return self._sound(
            tuple(net for host in hosts for version in (4, 6) for net in self._nets(term, host, version))
        )

    def _other(self, term: str, spec: str, domain: str, *, passes: bool) -> Ranges:
        target = self._followed(term, spec, domain)
        if target is None:
            self._unlisted(term, domain, passes)
            return Ranges()
        if self.lookups > MAX_SURVEYED:
            return Ranges()
        try:
            text = select(self._lookup(target, "TXT")) if queryable(target) else None
            if text is None:
                return self._fault(f"{term} of {domain} leads to {target!r}, which publishes no SPF record")
            return self.record(parse(text), target)
        except SpfError as error:
            return self._fault(f"{term} of {domain}: {error.fact}")

    def _followed(self, term: str, spec: str, domain: str) -> str | None:
        """Count the term; the name it leads to, or None where that depends on the message."""
        self.lookups = min(self.lookups, MAX_SURVEYED) + 1
        if self.lookups == MAX_LOOKUPS + 1:
            self._fault(f"{term} of {domain} is one DNS lookup more than the {MAX_LOOKUPS} allowed")
        if letters(spec) & UNKNOWN_BEFOREHAND:
            return None
        return shortened(expand(spec, lambda _: domain)).lower()

    def _exchanges(self, name: str) -> list[str]:
        names = list(self._ask(name, "MX", (4, 6)))
        if len(names) > MAX_EXCHANGES:
            self._fault(f"{name} has {len(names)} MX records, and mx may lead to {MAX_EXCHANGES}")
        return names[:MAX_EXCHANGES]

    def _nets(self, term: Mechanism, host: str, version: int) -> list[Network]:
        answers = self._ask(host.lower().removesuffix("."), address_type(version), (version,))
        return [term.around(address(answer)) for answer in answers]

    def _ask(self, name: str, kind: str, versions: tuple[int, ...]) -> tuple[str, ...]:
        if not queryable(name) or self.lookups > MAX_SURVEYED:
            return ()
        answers = tuple(self._lookup(name, kind))
        for version in versions if not answers else ():
            self.voids[version].append(f"{name} {kind}")
            if len(self.voids[version]) > MAX_VOIDS:
                self._broken.add(version)
        return answers

    def _sound(self, networks: tuple[Network, ...]) -> Ranges:
        return Ranges.of(network for network in networks if network.version not in self._broken)

    def _unlisted(self, term: str, domain: str, passes: bool) -> None:
        if passes and self._broken != {4, 6}:
            self.unlisted.append(f"{term} of {domain}")

    def _fault(self, fact: str) -> Ranges:
        self.faults.append(fact)
        self._broken |= {4, 6}
        return Ranges()
