"""The proof of a change to DNS: every server shows it, and a receiver concludes from it what was meant."""

from collections.abc import Sequence
from datetime import UTC, datetime

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
from flows.progress import Progress
from flows.tasks import RETRIED

REBUILDS = 4
"""How many times as long as the master needs to build a zone everybody may take to show it."""


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_spf(plan: Plan, estate: str) -> list[Finding]:
    """That all servers show the new records, and what a receiver concludes for each sender and each that went."""
    opened = open_estate(estate)
    servers = DnsServers.of(opened)
    shown = published(plan, opened, servers)
    at = _now()
    found = spf_plan.verdicts(plan, opened, remembered(_authoritative(servers, PublicResolver.of(opened))))
    return [*shown, *(finding.model_copy(update={"at": at}) for finding in found)]


def published(plan: Plan, estate: Estate, servers: DnsServers) -> list[Finding]:
    """Wait until master, slaves and resolvers show what the plan has published; one finding a name and server."""
    master = SshHost.of(estate.dns.master, estate.hosts[estate.dns.master])
    with master.observe() as host:
        now = hestia_dns.read(host, estate.dns.zone_owner, estate.dns.zone)
    say = Progress()
    found: list[Finding] = []
    for expected in _expected(plan, now):
        seconds = float(REBUILDS * estate.dns.rebuild_seconds)
        answers = servers.wait(expected, seconds, lambda words: say.step("verify", words))
        found += agreement.findings(expected, answers, now.signed, _now())
    return found


def _expected(plan: Plan, now: Zone) -> list[Expected]:
    """What each changed name says at the master now, and said before, all its records of the type together."""
    names = dict.fromkeys((change.name, change.type) for change in plan.records())
    return [_of_name(name, kind, plan.records(), now) for name, kind in names]


def _of_name(name: str, kind: str, changes: Sequence[SetRecord], now: Zone) -> Expected:
    mine = [change for change in changes if (change.name, change.type) == (name, kind)]
    values = {record.value for record in zone.at(now.records, name, kind)}
    before = (values - {change.after for change in mine}) | {change.before for change in mine if change.before}
    full = now.name if name == zone.APEX else f"{name}.{now.name}"
    return Expected(full, kind, frozenset(values), frozenset(before))


def _authoritative(servers: DnsServers, resolver: PublicResolver) -> Lookup:
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
