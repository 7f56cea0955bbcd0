"""Put SPF records side by side: what differs, and what one record is that says what several do."""

from collections.abc import Sequence
from dataclasses import dataclass

from deliverability.dns.spf.terms import Mechanism, Network, Spf, Term
from deliverability.errors import Refused

_STRICTNESS = "-~?"


@dataclass(frozen=True)
class Difference:
    """Terms as they are written: those only the old record has, those only the new one has, in their order.

    `moved` is whether the terms that both have stand in another order.
    """

    gone: tuple[str, ...]
    new: tuple[str, ...]
    moved: bool

    @property
    def empty(self) -> bool:
        return not (self.gone or self.new or self.moved)


def diff(old: Spf, new: Spf) -> Difference:
    """What changes from `old` to `new`. A term whose qualifier or prefix length changes is both gone and new."""
    before, after = [str(term) for term in old.terms], [str(term) for term in new.terms]
    gone, came = _only(before, after), _only(after, before)
    return Difference(gone, came, _only(before, gone) != _only(after, came))


def merged(records: Sequence[Spf]) -> Spf:
    """One record that lets pass who passes by any of several, for a name that publishes more than one.

    Terms keep their order, a repeated one and a network within another are left out, and the strictest `all` ends the
    record. Refused where the order of terms decides (one that does not pass stands before another; `+all`; redirect=)
    or where exp= differs: a person has to say what is meant.
    """
    reasons = [reason for record in records for reason in _undecidable(record)]
    if len({record.explanation for record in records} - {None}) > 1:
        reasons.append("the records name different explanations (exp=)")
    if reasons or not records:
        raise Refused(
            f"{len(records)} SPF records cannot be merged into one",
            tuple(dict.fromkeys(reasons)),
            next_step="write one record by hand, and delete the others",
        )
    terms = tuple(dict.fromkeys(term for record in records for term in record.terms if not _is_all(term)))
    ends = sorted((record.all for record in records if record.all), key=lambda end: _STRICTNESS.index(end.qualifier))
    return Spf((*(term for term in terms if not _is_covered(term, terms)), *ends[:1]))


def _only(these: Sequence[str], those: Sequence[str]) -> tuple[str, ...]:
    left = list(those)
    only = []
    for term in these:
        if term in left:
            left.remove(term)
        else:
            only.append(term)
    return tuple(only)


def _undecidable(record: Spf) -> list[str]:
    found = [
        f"{term} does not pass, and its place among the terms decides what it means"
        for term in record.mechanisms
        if not term.passes and term.name != "all"
    ]
    found += ["+all lets everyone pass"] if record.all and record.all.passes else []
    if any(modifier.name == "redirect" for modifier in record.modifiers):
        found.append("redirect= has no place beside the terms of another record")
    return found


def _is_all(term: Term) -> bool:
    return isinstance(term, Mechanism) and term.name == "all"


def _is_covered(term: Term, terms: Sequence[Term]) -> bool:
    """Whether another term names a wider network, or the same one before this."""
    own = _network(term)
    if own is None:
        return False
    others = ((number, _network(other)) for number, other in enumerate(terms) if other != term)
    at = terms.index(term)
    return any(net is not None and _holds(net, own) and (net != own or number < at) for number, net in others)


def _network(term: Term) -> Network | None:
    return term.network if isinstance(term, Mechanism) and term.name in ("ip4", "ip6") else None


def _holds(wide: Network, narrow: Network) -> bool:
    return wide.version == narrow.version and wide[0] <= narrow[0] and narrow[-1] <= wide[-1]  # type: ignore[operator]
