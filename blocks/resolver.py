"""What the world's resolvers say about a name."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import dns.exception
import dns.rdatatype
import dns.resolver
from prefect.blocks.core import Block

from deliverability.dns import spf
from deliverability.errors import HostUnreachable, LookupFailed
from deliverability.estate import Estate

LIFETIME_SECONDS = 6.0


class PublicResolver(Block):
    """Named resolvers, asked directly: the machine's own resolver has no say in what receivers see."""

    _block_type_name = "Public resolver"
    _block_type_slug = "public-resolver"

    addresses: tuple[str, ...]

    @classmethod
    def of(cls, estate: Estate) -> Self:
        """The resolvers the estate names."""
        return cls(addresses=tuple(str(address) for address in estate.dns.resolvers))

    def lookup(self, name: str, kind: str) -> Sequence[str]:
        """The answers to one question, as deliverability.dns.spf.Lookup wants them. Raises LookupFailed."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = list(self.addresses)
        resolver.lifetime = LIFETIME_SECONDS
        try:
            answer = resolver.resolve(name, kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except dns.exception.DNSException as error:
            raise LookupFailed(f"no answer for {name} {kind}: {error}", next_step="runbook doctor") from None
        match kind:
            case "TXT":
                return [b"".join(rdata.strings).decode("utf-8", "replace") for rdata in answer]
            case "MX":
                by_preference = sorted(answer, key=lambda rdata: int(rdata.preference))
                return [str(rdata.exchange).rstrip(".").lower() for rdata in by_preference]
        return [rdata.to_text().rstrip(".") for rdata in answer]

    def authorised(self, domains: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """For each domain, the addresses its SPF authorises, united over all resolvers; ranges as a.b.c.d/n.

        A record that only one resolver still shows counts: some receiver sees it too. Raises HostUnreachable when a
        resolver does not answer: what is published is then unknown.
        """
        asked = [(domain, resolver) for domain in domains for resolver in self.addresses]
        with ThreadPoolExecutor(max(1, len(asked))) as pool:
            answers = list(pool.map(lambda pair: _authorised(*pair), asked))
        united: dict[str, set[str]] = {}
        for (domain, _), addresses in zip(asked, answers, strict=True):
            united.setdefault(domain, set()).update(addresses)
        return {domain: tuple(sorted(addresses)) for domain, addresses in united.items()}


def _authorised(domain: str, resolver: str) -> set[str]:
    return _Evaluation(resolver).addresses(domain)


class _Evaluation:
    """All addresses one SPF record leads to, within the limit of RFC 7208 4.6.4."""

    def __init__(self, resolver: str) -> None:
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers = [resolver]
        self._resolver.lifetime = LIFETIME_SECONDS
        self._where = resolver
        self._lookups = 0

    def addresses(self, domain: str) -> set[str]:
        text = spf.select(self._ask(domain, "TXT"))
        if text is None:
            return set()
        record = spf.parse(text)
        found = {str(network).removesuffix("/32") for network in spf.networks(record)}
        self._lookups += spf.lookups(record)
        if self._lookups > spf.MAX_LOOKUPS:
            return found  # a receiver ends here with permerror and honours nothing that needs another question
        for mechanism, named in spf.names(record):
            target = named or domain
            if mechanism in ("include", "redirect"):
                found |= self.addresses(target)
            elif mechanism == "mx":
                exchanges = [answer.split()[-1].rstrip(".") for answer in self._ask(target, "MX")]
                found |= {address for name in exchanges[:10] for address in self._ask(name, "A")}
            else:
                found |= set(self._ask(target, "A"))
        return found

    def _ask(self, name: str, kind: str) -> list[str]:
        try:
            answer = self._resolver.resolve(name, kind)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            raise HostUnreachable(
                f"resolver {self._where}: no answer for {name} {kind}: {error}", next_step="runbook doctor"
            ) from None
        if answer.rdtype == dns.rdatatype.TXT:
            return [b"".join(rdata.strings).decode("utf-8", "replace") for rdata in answer]
        return [rdata.to_text() for rdata in answer]
