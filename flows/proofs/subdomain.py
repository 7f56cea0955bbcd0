"""The proof of a sending subdomain: its records everywhere, its mail as a receiver judges it, the From in force."""

from collections.abc import Iterator

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks import hestia_dns, opendkim
from blocks.dns_servers import DnsServers
from blocks.listmonk import Listmonk
from blocks.probe import Sighting, log_since
from blocks.resolver import PublicResolver
from blocks.ssh_host import SshHost
from blocks.ssh_session import Reader, Writer
from deliverability import authentication, bounce_senders, listmonk
from deliverability.authentication import Delivery
from deliverability.dkim import signing
from deliverability.dns import spf, zone
from deliverability.dns.spf import Lookup, remembered
from deliverability.dns.zone import Zone
from deliverability.errors import Refused
from deliverability.estate import Estate
from deliverability.estate_tables import Stream
from deliverability.finding import Finding, Verdict, judged
from deliverability.subdomain import planning, records
from deliverability.subdomain.planning import Target
from deliverability.subdomain.records import Wanted
from flows.opening import open_estate
from flows.proofs.dns import authoritative, published
from flows.proofs.verification import bind_warnings, mail, now
from flows.steps.tasks import RETRIED


def refuse_unsound(host: Writer) -> None:
    """Raises Refused if OpenDKIM would refuse mail once it reads its tables as they are: an undo makes it do so."""
    if reasons := opendkim.problems(host, opendkim.read(host)):
        raise Refused(f"{host.name}: OpenDKIM would refuse mail (4.7.1) after its next reload", reasons)


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_records(estate: str, domain: str, selector: str) -> list[Finding]:
    """That all servers show all four records, that the key is the host's own, and that SPF lets each stream pass."""
    opened = open_estate(estate)
    what = planning.target(opened, domain, selector)
    servers = DnsServers.of(opened)
    path = signing.key_path(what.domain, what.selector)
    master = opened.hosts[opened.dns.master]
    with _mta(opened).observe() as host:
        key = opendkim.known_key(host, path)
        with SshHost.of(opened.dns.master, master).observe() as on_master:
            there = hestia_dns.read(on_master, opened.dns.zone_owner, opened.dns.zone)
        wanted = records.wanted(zone.relative(what.domain, there.name), what.said, what.selector, key)
        changes = [records.added(there, opened.dns.master, records.listed(there, one)) for one in wanted]
        shown = [_complete(there, opened.dns.master, wanted), *published(changes, opened, servers)]
        fits = opendkim.check_key(host, what.domain, what.selector, path, str(master.address))
    return [*shown, fits.model_copy(update={"at": now()}), *_spf(what, _asking(opened))]


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_signing(estate: str, domain: str, selector: str, since: int) -> list[Finding]:
    """That mail on each stream arrives from the right address, signed and aligned, and that no mail was refused."""
    opened = open_estate(estate)
    what = planning.target(opened, domain, selector)
    lookup = _asking(opened)
    with _mta(opened).operate() as host:
        return [
            _tables(host, what),
            *_watched(host, what),
            *(
                finding
                for name, stream in what.streams.items()
                for finding in _stream(host, opened, what, name, stream, since, lookup)
            ),
            bind_warnings(host, opened, since),
            _refused(host, opened, since),
        ]


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_senders(estate: str, domain: str, selector: str) -> list[Finding]:
    """That each stream's listmonk sends with its From and its Reply-To."""
    opened = open_estate(estate)
    what = planning.target(opened, domain, selector)
    found: list[Finding] = []
    with _mta(opened).observe() as host:
        for stream in what.streams.values():
            if stream.listmonk:
                after = Listmonk.of(stream.listmonk, opened.listmonk[stream.listmonk]).read(host)
                found += listmonk.findings(after, stream, host.name)
    return [finding.model_copy(update={"at": now()}) for finding in found]


def _mta(estate: Estate) -> SshHost:
    return SshHost.of(estate.mta.host, estate.hosts[estate.mta.host])


def _asking(estate: Estate) -> Lookup:
    """The zone's own servers: resolvers may remember for hours that there was nothing (RFC 2308)."""
    return remembered(authoritative(DnsServers.of(estate), PublicResolver.of(estate)))


def _complete(there: Zone, master: str, wanted: tuple[Wanted, ...]) -> Finding:
    """What all servers agree on is only worth something if it is what was meant."""
    against: list[str] = []
    left = [change.target for change in records.missing(there, master, wanted, against)]
    observed = "; ".join([*left, *against]) or "nothing"
    found = judged("left to publish", observed == "nothing", "nothing", observed, master)
    return found.model_copy(update={"at": now()})


def _spf(what: Target, lookup: Lookup) -> Iterator[Finding]:
    for name, stream in what.streams.items():
        result = spf.evaluate(str(stream.ip), what.domain, lookup)
        passed = result.verdict is spf.Verdict.PASS
        check = f"SPF of {what.domain} for {stream.ip} (stream {name})"
        found = judged(check, passed, "pass", str(result.verdict), what.domain)
        yield found.model_copy(update={"at": now()})


def _tables(host: Reader, what: Target) -> Finding:
    left = signing.changes(opendkim.read(host), what.domain, what.selector)
    observed = ", ".join(change.target for change in left) or "nothing"
    found = judged("left to change in OpenDKIM", not left, "nothing", observed, host.name)
    return found.model_copy(update={"at": now()})


def _watched(host: Reader, what: Target) -> Iterator[Finding]:
    for name, stream in what.streams.items():
        if path := stream.watched_senders:
            text = host.run("cat", "--", path).stdout
            check = f"senders whose bounces are counted, stream {name}"
            wanted = stream.envelope_sender
            known = ", ".join(bounce_senders.parse(text, path))
            found = judged(check, bounce_senders.has(text, wanted, path), wanted, known, f"{host.name}:{path}")
            yield found.model_copy(update={"at": now()})


def _stream(
    host: Writer, estate: Estate, what: Target, name: str, stream: Stream, since: int, lookup: Lookup
) -> list[Finding]:
    arrived, seen = mail(host, estate, name, stream, since)
    if seen is None:
        return [arrived]
    found = _by_receiver(what, name, stream, seen, lookup) if seen.message else [_by_log(what, name, seen)]
    return [arrived, *(finding.model_copy(update={"where": seen.where, "at": now()}) for finding in found)]


def _by_receiver(what: Target, name: str, stream: Stream, seen: Sighting, lookup: Lookup) -> list[Finding]:
    got = Delivery(seen.message, seen.ip, seen.helo, stream.envelope_sender)
    return authentication.findings(f"mail of stream {name}", got, what.domain, what.selector, lookup)


def _by_log(what: Target, name: str, seen: Sighting) -> Finding:
    """Where no receiver can be asked: what OpenDKIM says it has done. Whether it verifies is not seen."""
    wanted = (what.domain, what.selector)
    told = ", ".join(f"d={domain} s={selector}" for domain, selector in seen.signed) or "no signature"
    return Finding(
        check=f"mail of stream {name}: DKIM",
        verdict=Verdict.OK if wanted in seen.signed else Verdict.FAIL,
        expected=f"signed, d={what.domain} s={what.selector}",
        observed=f"{told}; no receiver was asked",
    )


def _refused(host: Reader, estate: Estate, since: int) -> Finding:
    """A bad table makes OpenDKIM refuse for now what it is to sign; only the log of Postfix shows it."""
    log = log_since(host, estate.mta.mail_log, since)
    lines = [line for line in log if "milter-reject" in line and " 4.7.1 " in line]
    found = judged("mail refused by the milter", not lines, "none", lines[-1][-200:] if lines else "none", host.name)
    return found.model_copy(update={"at": now()})
