"""The proof of a change to DNS: every server shows it, and a receiver concludes from it what was meant."""

import time
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks import hestia_dns
from blocks.dns_servers import DnsServers
from blocks.resolver import PublicResolver
from blocks.ssh_host import SshHost
from deliverability.dns import agreement, spf_plan, zone
from deliverability.dns.agreement import Expected, Role
from deliverability.dns.spf import Lookup, remembered
from deliverability.dns.zone import Zone
from deliverability.errors import LookupFailed
from deliverability.estate import Estate
from deliverability.finding import Finding
from deliverability.plan import Plan, SetRecord
from flows.opening import open_estate
from flows.procedure import REBUILDS
from flows.progress import Progress
from flows.proofs.verification import now
from flows.steps.tasks import RETRIED


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_spf(plan: Plan, estate: str) -> list[Finding]:
    """That all servers show the plan's records, and what a receiver concludes for each sender and each that went."""
    opened = open_estate(estate)
    servers = DnsServers.of(opened)
    shown = published(plan.records(), opened, servers)
    at = now()
    found = spf_plan.verdicts(plan, opened, remembered(authoritative(servers, PublicResolver.of(opened))))
    return [*shown, *(finding.model_copy(update={"at": at}) for finding in found)]


def published(records: Sequence[SetRecord], estate: Estate, servers: DnsServers) -> list[Finding]:
    """Wait until master, slaves and resolvers show what these have published; one finding a name and server."""
    master = SshHost.of(estate.dns.master, estate.hosts[estate.dns.master])
    with master.observe() as host:
        there = hestia_dns.read(host, estate.dns.zone_owner, estate.dns.zone)
    say = Progress()
    found: list[Finding] = []
    give_up = time.monotonic() + REBUILDS * estate.dns.rebuild_seconds
    for expected in _expected(records, there):
        seconds = max(0.0, give_up - time.monotonic())
        answers = servers.wait(expected, seconds, lambda words: say.step("verify", words))
        found += agreement.findings(expected, answers, there.signed, now())
    return found


def _expected(changes: Sequence[SetRecord], there: Zone) -> list[Expected]:
    """What each changed name says at the master now, and said before, all its records of the type together."""
    names = dict.fromkeys((change.name, change.type) for change in changes)
    return [_of_name(name, kind, changes, there) for name, kind in names]


def _of_name(name: str, kind: str, changes: Sequence[SetRecord], there: Zone) -> Expected:
    mine = [change for change in changes if (change.name, change.type) == (name, kind)]
    values = {_shown(record.value, record.priority) for record in zone.at(there.records, name, kind)}
    came = {_shown(change.after, change.priority) for change in mine if change.after}
    went = {_shown(change.before, change.priority) for change in mine if change.before}
    full = there.name if name == zone.APEX else f"{name}.{there.name}"
    return Expected(full, kind, frozenset(values), frozenset(values - came | went))


def _shown(value: str, priority: int | None) -> str:
    """A record's value as DNS itself writes it."""
    return value if priority is None else f"{priority} {value}"


def authoritative(servers: DnsServers, resolver: PublicResolver) -> Lookup:
    """TXT of the zone from its own servers, since resolvers remember; everything else as the world sees it."""

    def lookup(name: str, kind: str) -> Sequence[str]:
        if kind != "TXT" or not f".{name}".endswith(f".{servers.zone}"):
            return resolver.lookup(name, kind)
        answers = servers.ask(name, kind, (Role.SLAVE, Role.MASTER))
        for answer in answers:
            if answer.values is not None:
                return sorted(answer.values)
        raise LookupFailed(f"none of the servers of {servers.zone} answers for {name} {kind}")

    return lookup
