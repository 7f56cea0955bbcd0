"""One look at the SPF of an estate: the zone at its master, what each server shows, what records ask, who sends."""

from collections.abc import Sequence
from contextlib import suppress

from blocks import hestia_dns
from blocks.dns_servers import DnsServers
from blocks.resolver import PublicResolver
from blocks.ssh_session import Reader
from deliverability.dns import spf, spf_plan
from deliverability.dns.agreement import Answer
from deliverability.dns.spf_plan import SpfLook
from deliverability.dns.zone import Zone
from deliverability.errors import Refused, SpfError
from deliverability.estate import Estate
from deliverability.postfix import main_cf, master_cf, senders

LOG_BYTES = 8 * 1024 * 1024
"""Of the end of the mail log: some 40,000 messages."""


def read(master: Reader, mta: Reader, estate: Estate) -> SpfLook:
    """Nothing is written. Raises Refused if the zone is not its owner's, HostError, MalformedFile, LookupFailed."""
    zone = hestia_dns.read(master, estate.dns.zone_owner, estate.dns.zone)
    servers = DnsServers.of(estate)
    domains = spf_plan.domains(estate)
    sent = _sent(mta, estate)
    return SpfLook(
        host=master.name,
        zone=zone,
        published={domain: {a.server.name: _spf(a) for a in servers.ask(domain, "TXT")} for domain in domains},
        answers=_answers(zone, estate, sent, PublicResolver.of(estate)),
        sent=sent,
    )


def _spf(answer: Answer) -> tuple[str, ...] | None:
    return None if answer.values is None else tuple(sorted(filter(spf.is_spf, answer.values)))


def _sent(mta: Reader, estate: Estate) -> dict[str, int]:
    master, main, log = mta.run_all(
        ("cat", "--", estate.mta.master_cf),
        ("cat", "--", estate.mta.main_cf),
        ("tail", "-c", str(LOG_BYTES), "--", estate.mta.mail_log),
    )
    return senders.sent(
        log.stdout.splitlines(),
        master_cf.parse(master.stdout, estate.mta.master_cf),
        main_cf.parse(main.stdout, estate.mta.main_cf),
    )


def _answers(
    zone: Zone, estate: Estate, sent: dict[str, int], resolver: PublicResolver
) -> dict[str, dict[str, tuple[str, ...]]]:
    """All that the plan will ask: it is made once with the real answers, which are written down."""
    asked: dict[str, dict[str, tuple[str, ...]]] = {}

    def lookup(name: str, kind: str) -> Sequence[str]:
        answers = tuple(resolver.lookup(name, kind))
        asked.setdefault(name, {})[kind] = answers
        return answers

    for domain in spf_plan.domains(estate):
        look = SpfLook(host="", zone=zone, answers={}, published={}, sent=sent)
        # Whatever is wrong with the record is for the plan to refuse.
        with suppress(Refused, SpfError):
            list(spf_plan.changes(look, estate, domain, lookup, merge=True))
    return asked
