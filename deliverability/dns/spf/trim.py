"""The smallest record that covers exactly the live senders. Source: RFC 7208 4.6.2 (the first match decides)."""

from collections.abc import Iterable
from ipaddress import IPv4Address, ip_network

from deliverability.dns.spf.evaluation import Verdict, evaluate
from deliverability.dns.spf.lookup import Lookup, as_if, remembered
from deliverability.dns.spf.ranges import Ranges
from deliverability.dns.spf.surveying import survey
from deliverability.dns.spf.terms import Address, Mechanism, Modifier, Network, Spf, Term, address
from deliverability.errors import LookupFailed, Refused


def trimmed(old: Spf, domain: str, live: Iterable[str], lookup: Lookup) -> Spf:
    """`old`, the record of `domain`, cut down to the live senders; its terms keep their order.

    An ip4 or ip6 term stays while it names a live sender, also one that a name covers too: names move. A wider network
    becomes the live senders in it. a and mx stay, without their prefix lengths. include and exists stay only where a
    live sender passes by nothing else; ptr becomes the addresses it let pass. Terms that do not pass stay, since their
    place decides; +all becomes -all.

    Refused, with each reason: a live sender that does not pass by `old`, a record that is elsewhere (redirect=), a cut
    that would lose a live sender or let somebody new pass. LookupFailed if DNS does not answer.
    """
    senders = list(dict.fromkeys(address(text) for text in live))
    lookup = remembered(lookup)
    _require(_reasons(old, domain, senders, lookup), domain)
    new = _Trim(old, domain, senders, lookup).record()
    _require([*_lost(new, domain, senders, lookup), *_widened(old, new, domain, senders, lookup)], domain)
    return new


class _Trim:
    def __init__(self, old: Spf, domain: str, senders: list[Address], lookup: Lookup) -> None:
        self._old, self._domain, self._senders, self._lookup = old, domain, senders, lookup
        self._kept: list[Term] = []
        tried = old.mechanisms[: old.mechanisms.index(old.all)] if old.all else old.mechanisms
        by_network = [term for term in tried if term.passes and term.name in ("ip4", "ip6", "a", "mx")]
        self._needy = [sender for sender in senders if not any(self._covers(term, sender) for term in by_network)]

    def record(self) -> Spf:
        for term in self._old.terms:
            if isinstance(term, Modifier):
                self._modifier(term)
            elif not self._closed():
                self._mechanism(term)
        return Spf(tuple(self._kept))

    def _closed(self) -> bool:
        return any(isinstance(term, Mechanism) and term.name == "all" for term in self._kept)

    def _modifier(self, term: Modifier) -> None:
        # A redirect= that an `all` makes ineffective does nothing but puzzle the reader.
        if term.name != "redirect":
            self._kept.append(term)

    def _mechanism(self, term: Mechanism) -> None:
        if not term.passes:
            self._kept.append(term)
        elif term.name == "all":
            self._name_all(self._needy)
            self._kept.append(Mechanism("-", "all"))
        elif term.name in ("ip4", "ip6"):
            self._network(term)
        elif term.name in ("a", "mx"):
            self._hosts(term)
        elif needy := [sender for sender in self._needy if self._covers(term, sender)]:
            self._by_others(term, needy)

    def _network(self, term: Mechanism) -> None:
        within = [sender for sender in self._senders if _holds(term.network, sender)]
        if len(within) == term.network.num_addresses and term not in self._kept:
            self._kept.append(term)
        else:
            self._name_all([sender for sender in within if not self._has(sender)])

    def _hosts(self, term: Mechanism) -> None:
        narrow = Mechanism(term.qualifier, term.name, term.value)
        if narrow not in self._kept:
            self._kept.append(narrow)
        if narrow != term:
            self._name_all([s for s in self._senders if self._covers(term, s) and not self._has(s)])

    def _by_others(self, term: Mechanism, needy: list[Address]) -> None:
        if term.name == "ptr":
            self._name_all(needy)
        else:
            self._kept.append(term)
        self._needy = [sender for sender in self._needy if sender not in needy]

    def _name_all(self, senders: Iterable[Address]) -> None:
        for sender in senders:
            term = Mechanism("+", "ip4" if isinstance(sender, IPv4Address) else "ip6", str(sender))
            if term not in self._kept:
                self._kept.append(term)

    def _has(self, sender: Address) -> bool:
        return any(isinstance(term, Mechanism) and term.passes and self._covers(term, sender) for term in self._kept)

    def _covers(self, term: Mechanism, sender: Address) -> bool:
        return _verdict(Spf((term,)), self._domain, sender, self._lookup) is Verdict.PASS


def _reasons(old: Spf, domain: str, senders: list[Address], lookup: Lookup) -> list[str]:
    if not senders:
        return ["no live sender is known, and a record that lets nobody pass stops all mail"]
    if old.redirect is not None:
        return [f"the addresses are not in this record but in that of {old.redirect} (redirect=): trim that one"]
    return _lost(old, domain, senders, lookup)


def _lost(spf: Spf, domain: str, senders: list[Address], lookup: Lookup) -> list[str]:
    verdicts = ((sender, _verdict(spf, domain, sender, lookup)) for sender in senders)
    return [f"{s} sends mail, and {spf} answers {v} for it" for s, v in verdicts if v is not Verdict.PASS]


def _widened(old: Spf, new: Spf, domain: str, senders: list[Address], lookup: Lookup) -> list[str]:
    """What the new record lets pass and the old one does not, as behind a term at which the old one breaks off.

    The senders are known to pass; a survey of the old record does not list those of ptr.
    """
    before, after = (survey(spf, domain, as_if(lookup, {domain: str(spf)})) for spf in (old, new))
    known = Ranges.united((before.ranges, Ranges.of(ip_network(sender) for sender in senders)))
    more = (after.ranges - known).networks()
    terms = [term for term in after.unlisted if term not in before.unlisted]
    return [f"{what} does not pass today, and would" for what in (*more, *terms)]


def _verdict(spf: Spf, domain: str, sender: Address, lookup: Lookup) -> Verdict:
    result = evaluate(str(sender), domain, as_if(lookup, {domain: str(spf)}))
    if result.verdict is Verdict.TEMPERROR:
        raise LookupFailed(result.reason, next_step="plan again when DNS answers")
    return result.verdict


def _holds(network: Network, sender: Address) -> bool:
    return network.version == sender.version and sender in network


def _require(reasons: list[str], domain: str) -> None:
    if reasons:
        raise Refused(
            f"{domain}: its SPF record cannot be trimmed, {len(reasons)} reason(s) against it",
            reasons,
            next_step="settle these, then plan again",
        )
