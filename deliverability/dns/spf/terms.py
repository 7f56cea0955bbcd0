"""An SPF record as data. Source: RFC 7208, sections 4.6.1 (terms), 4.6.4 (limits), 5 (mechanisms), 6 (modifiers)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

VERSION = "v=spf1"

MAX_LENGTH = 65_535
"""Bytes a TXT record can hold."""

MAX_LOOKUPS = 10
"""Most DNS-querying terms an evaluation may meet, those of included records counted too (RFC 7208 4.6.4)."""

MAX_VOIDS = 2
"""Most DNS questions without an answer that an evaluation may ask (RFC 7208 4.6.4)."""

QUERYING = ("include", "a", "mx", "ptr", "exists")
"""The mechanisms that count against MAX_LOOKUPS; redirect= does too, exp= does not."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Mechanism:
    """One mechanism. `value` is the domain-spec or the address; a prefix length is None where the record gives none."""

    qualifier: str
    name: str
    value: str | None = None
    prefix4: int | None = None
    prefix6: int | None = None

    def __str__(self) -> str:
        """The term as a record holds it; the qualifier "+" is the default and is not written."""
        four = f"/{self.prefix4}" if self.prefix4 is not None else ""
        slashes = "/" if self.name == "ip6" else "//"
        six = f"{slashes}{self.prefix6}" if self.prefix6 is not None else ""
        value = f":{self.value}" if self.value is not None else ""
        return f"{self.qualifier.replace('+', '')}{self.name}{value}{four}{six}"

    @property
    def passes(self) -> bool:
        return self.qualifier == "+"

    @property
    def network(self) -> Network:
        """What an ip4 or ip6 term names, host bits cleared; ValueError for any other mechanism."""
        given = self.prefix4 if self.name == "ip4" else self.prefix6
        return ip_network(f"{self.value}/{given}" if given is not None else str(self.value), strict=False)

    def around(self, address: Address) -> Network:
        """The network that the prefix lengths of an a or mx term make of one of its addresses."""
        given = self.prefix4 if address.version == 4 else self.prefix6
        return ip_network((address, address.max_prefixlen if given is None else given), strict=False)


@dataclass(frozen=True)
class Modifier:
    """One modifier, `name=value`; unknown ones are kept and have no effect (RFC 7208 6)."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


Term = Mechanism | Modifier


@dataclass(frozen=True)
class Spf:
    """A parsed record: its terms in the order in which they are written."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join((VERSION, *map(str, self.terms)))

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """In the order in which they are tried."""
        return tuple(term for term in self.terms if isinstance(term, Mechanism))

    @property
    def modifiers(self) -> tuple[Modifier, ...]:
        return tuple(term for term in self.terms if isinstance(term, Modifier))

    @property
    def all(self) -> Mechanism | None:
        """The `all` that ends the evaluation, if there is one: terms behind it are never tried (RFC 7208 5.1)."""
        return next((mechanism for mechanism in self.mechanisms if mechanism.name == "all"), None)

    @property
    def redirect(self) -> str | None:
        """The domain of redirect=, unless an `all` makes it ineffective (RFC 7208 6.1)."""
        return self._modifier("redirect") if self.all is None else None

    @property
    def explanation(self) -> str | None:
        """The domain of exp=."""
        return self._modifier("exp")

    def _modifier(self, name: str) -> str | None:
        return next((modifier.value for modifier in self.modifiers if modifier.name == name), None)


def networks(spf: Spf) -> tuple[Network, ...]:
    """The networks of ip4 and ip6 terms that give pass, in order, whatever stands before them."""
    return tuple(term.network for term in spf.mechanisms if term.name in ("ip4", "ip6") and term.passes)


def names(spf: Spf) -> tuple[tuple[str, str | None], ...]:
    """(mechanism, domain) of each a, mx, include that gives pass and of redirect; None is the record's own domain."""
    by_name = [term for term in spf.mechanisms if term.name in ("a", "mx", "include") and term.passes]
    found = tuple((term.name, term.value) for term in by_name)
    return (*found, ("redirect", spf.redirect)) if spf.redirect else found


def address(text: str) -> Address:
    """An address as SPF sees it; ValueError for what is none.

    An IPv4-mapped IPv6 address counts as the IPv4 address it holds (RFC 7208 5).
    """
    parsed = ip_address(text)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
