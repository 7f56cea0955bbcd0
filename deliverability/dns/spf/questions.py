"""The questions one evaluation asks, counted against the limits. Source: RFC 7208, sections 4.6.4, 5.3 to 5.5."""

import re
from collections.abc import Sequence

from deliverability.dns.spf.grammar import parse, select
from deliverability.dns.spf.lookup import Lookup
from deliverability.dns.spf.macros import MAX_NAME
from deliverability.dns.spf.terms import MAX_LOOKUPS, MAX_VOIDS, Address, Spf, address
from deliverability.errors import LookupFailed, SpfError

MAX_EXCHANGES = 10
"""Most exchanges an mx term may lead to; more are a permerror (RFC 7208 4.6.4)."""

MAX_POINTERS = 10
"""Most names of an address that are looked at; more are ignored (RFC 7208 4.6.4)."""

_NAME = re.compile(r"[\x20-\x7e]+")


def queryable(name: str) -> bool:
    """Whether DNS can be asked for `name`: ASCII, labels of 1 to 63 characters, 253 in all.

    RFC 7208 4.8 leaves open what a term does whose name is none of these; here it matches nothing. A local part outside
    ASCII is meant to match nothing (RFC 8616 4).
    """
    fits = _NAME.fullmatch(name) is not None and len(name) <= MAX_NAME
    return fits and all(0 < len(label) < 64 for label in name.split("."))


def address_type(version: int) -> str:
    return "A" if version == 4 else "AAAA"


class Questions:
    """Asks and counts. SpfError where a limit is exceeded, LookupFailed from the lookup where there is no answer."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.lookups = 0
        self.voids = 0

    def count(self, term: str) -> None:
        """Count one term that asks DNS."""
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            fact = f"{term} is DNS lookup number {self.lookups}, and {MAX_LOOKUPS} are allowed (RFC 7208 4.6.4)"
            raise SpfError(fact, next_step="name addresses (ip4, ip6) in place of includes and host names")

    def ask(self, name: str, kind: str) -> Sequence[str]:
        """The answers; none, unasked, for a name that cannot be asked for.

        Void questions are counted one by one, as receivers' implementations do, although RFC 7208 4.6.4 can be read as
        counting terms: the stricter reading finds every record that some receiver rejects.
        """
        name = name.lower().removesuffix(".")
        if not queryable(name):
            return ()
        answers = self._lookup(name, kind)
        if not answers:
            self.voids += 1
            if self.voids > MAX_VOIDS:
                fact = f"{name} {kind} is empty answer number {self.voids}, and {MAX_VOIDS} are allowed"
                raise SpfError(f"{fact} (RFC 7208 4.6.4)", next_step=f"remove the terms that name {name}")
        return answers

    def record(self, domain: str) -> Spf | None:
        """The SPF record of `domain`; SpfError if it is none that can be understood, or one of several."""
        text = select(self._lookup(domain, "TXT")) if queryable(domain) else None
        return None if text is None else parse(text)

    def addresses(self, name: str, version: int) -> list[Address]:
        """The addresses of a host, of the family of the client that connects (RFC 7208 5.3)."""
        return [address(answer) for answer in self.ask(name, address_type(version))]

    def exchanges(self, name: str) -> Sequence[str]:
        """The names of the exchanges of a domain, in order of preference."""
        names = self.ask(name, "MX")
        if len(names) > MAX_EXCHANGES:
            fact = f"{name} has {len(names)} MX records, and {MAX_EXCHANGES} are allowed (RFC 7208 4.6.4)"
            raise SpfError(fact, next_step="name the addresses (ip4, ip6) in place of mx")
        return names

    def validated_names(self, client: Address) -> list[str]:
        """The names of the client's address that lead back to it; a question without answer gives no name, no error.

        Source: RFC 7208 5.5.
        """
        try:
            pointers = self.ask(client.reverse_pointer, "PTR")[:MAX_POINTERS]
        except LookupFailed:
            return []
        names = (pointer.lower().removesuffix(".") for pointer in pointers)
        return [name for name in names if self._leads_to(name, client)]

    def _leads_to(self, name: str, client: Address) -> bool:
        try:
            return client in self.addresses(name, client.version)
        except LookupFailed:
            return False
