"""What each DNS server says, all asked at once: as long as the slowest, not as long as all of them."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.TXT import TXT
from prefect.blocks.core import Block

from deliverability.dns.agreement import Answer, Expected, Role, Server, lagging
from deliverability.errors import EstateError, HostUnreachable
from deliverability.estate import Estate

ANSWER_SECONDS = 4.0
"""For one answer, asked again over TCP if it does not fit: a server that takes longer is called unknown."""

ROUND_SECONDS = 2.0


class DnsServers(Block):
    """The master of a zone, its slaves, and the resolvers others ask."""

    _block_type_name = "DNS servers"
    _block_type_slug = "dns-servers"

    zone: str
    servers: tuple[Server, ...]

    @classmethod
    def of(cls, estate: Estate) -> Self:
        """The servers an estate names; names of slaves are looked up at its resolvers. Raises HostUnreachable."""
        master = estate.hosts[estate.dns.master]
        resolvers = [str(address) for address in estate.dns.resolvers]
        slaves = [Server(name, _address(name, resolvers), Role.SLAVE) for name in estate.dns.slaves]
        return cls(
            zone=estate.dns.zone,
            servers=(
                Server(master.name or estate.dns.master, str(master.address), Role.MASTER),
                *slaves,
                *(Server(address, address, Role.RESOLVER) for address in resolvers),
            ),
        )

    def ask(self, name: str, kind: str, roles: Sequence[Role] = tuple(Role)) -> list[Answer]:
        """What each server of these roles says, in the order of the servers. Never raises for a server's silence."""
        asked = [server for server in self.servers if server.role in roles]
        with ThreadPoolExecutor(max(1, len(asked))) as pool:
            return list(pool.map(lambda server: _ask(server, name, kind, self.zone), asked))

    def wait(self, expected: Expected, seconds: float, say: Callable[[str], None]) -> list[Answer]:
        """Ask until all say what is expected, or `seconds` are over; the last answers.

        First the master and its slaves, and the resolvers only once these agree: a resolver that is asked too early
        remembers the old answer, or that there is none (RFC 2308).
        """
        deadline = time.monotonic() + seconds
        own = self._wait((Role.MASTER, Role.SLAVE), expected, deadline, say)
        return [*own, *self._wait((Role.RESOLVER,), expected, deadline, say)]

    def _wait(
        self, roles: Sequence[Role], expected: Expected, deadline: float, say: Callable[[str], None]
    ) -> list[Answer]:
        while True:
            began = time.monotonic()
            answers = self.ask(expected.name, expected.kind, roles)
            silent = [answer for answer in answers if answer.values is None]
            behind = [answer.server.name for answer in (*lagging(expected, answers), *silent)]
            if not behind or time.monotonic() > deadline:
                return answers
            say(f"{expected.name} {expected.kind}: waiting for {', '.join(behind)}")
            time.sleep(max(0.0, ROUND_SECONDS - (time.monotonic() - began)))


def _ask(server: Server, name: str, kind: str, zone: str) -> Answer:
    try:
        with ThreadPoolExecutor(1) as aside:
            asked = None if server.role is Role.RESOLVER else aside.submit(_serial, server, zone)
            answer = _query(server, name, kind)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Answer(server, None, error=dns.rcode.to_text(answer.rcode()))
        sets = [rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.from_text(kind)]
        values = frozenset(_text(rdata) for rrset in sets for rdata in rrset)
        serial = asked.result() if asked else None
        ttl = min((rrset.ttl for rrset in sets or answer.authority), default=0)
    except (dns.exception.DNSException, OSError) as error:
        return Answer(server, None, error=f"no answer: {error or type(error).__name__}")
    return Answer(server, values, serial, bool(answer.flags & dns.flags.AD), ttl)


def _query(server: Server, name: str, kind: str) -> dns.message.Message:
    question = dns.message.make_query(name, kind, want_dnssec=server.role is Role.RESOLVER)
    if server.role is not Role.RESOLVER:
        question.flags &= ~dns.flags.RD
    answer, _ = dns.query.udp_with_fallback(question, server.address, timeout=ANSWER_SECONDS, port=server.port)
    return answer


def _serial(server: Server, zone: str) -> int | None:
    for rrset in _query(server, zone, "SOA").answer:
        if rrset.rdtype == dns.rdatatype.SOA:
            return int(rrset[0].serial)
    return None


def _text(rdata: dns.rdata.Rdata) -> str:
    if isinstance(rdata, TXT):
        strings: tuple[bytes, ...] = rdata.strings
        return b"".join(strings).decode("utf-8", "backslashreplace")
    return str(rdata)


def _address(name: str, resolvers: Sequence[str]) -> str:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = list(resolvers)
    resolver.lifetime = ANSWER_SECONDS
    try:
        return str(resolver.resolve(name, "A")[0])
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        raise EstateError(f"slave {name} has no address", next_step="correct dns.slaves in the estate file") from None
    except dns.exception.DNSException as error:
        raise HostUnreachable(f"no answer for {name} A: {error}", next_step="runbook doctor") from None
