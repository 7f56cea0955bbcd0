"""How SPF asks DNS: through a function that the caller gives, so that nothing here reaches a network."""

from collections.abc import Callable, Mapping, Sequence

from deliverability.errors import LookupFailed

Lookup = Callable[[str, str], Sequence[str]]
"""(name, type) -> answers, for the types A, AAAA, MX, PTR and TXT, names in lower case without a final dot.

Empty for a name that does not exist and for one without such a record: SPF makes no difference (RFC 7208 4.6.4).
MX answers are the exchanges' names in order of preference, TXT answers whole records, joined from their strings.
LookupFailed where there is no answer (SERVFAIL, time-out, bogus): the verdict is temperror then (RFC 7208 4.4).
"""

Zone = Mapping[str, Mapping[str, Sequence[str] | None]]
"""name -> type -> answers; None in place of the answers is a server that fails."""


def offline(zone: Zone) -> Lookup:
    """A lookup that knows the names of `zone` and nothing else."""
    known = {name.lower().removesuffix("."): answers for name, answers in zone.items()}

    def lookup(name: str, kind: str) -> Sequence[str]:
        answers = known.get(name.lower(), {}).get(kind, ())
        if answers is None:
            raise LookupFailed(f"no answer for {name} {kind}", next_step="ask again later")
        return answers

    return lookup


def as_if(lookup: Lookup, records: Mapping[str, str]) -> Lookup:
    """`lookup`, as if each domain of `records` published this SPF record and no other TXT record."""
    pretended = {name.lower().removesuffix("."): text for name, text in records.items()}

    def asked(name: str, kind: str) -> Sequence[str]:
        return (pretended[name],) if kind == "TXT" and name in pretended else lookup(name, kind)

    return asked


def remembered(lookup: Lookup) -> Lookup:
    """`lookup`, which is asked each question once, so that all conclusions rest on the same answers.

    A question without an answer is asked again.
    """
    answers: dict[tuple[str, str], Sequence[str]] = {}

    def asked(name: str, kind: str) -> Sequence[str]:
        if (name, kind) not in answers:
            answers[name, kind] = lookup(name, kind)
        return answers[name, kind]

    return asked
