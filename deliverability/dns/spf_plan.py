"""What an SPF trim does: the smallest record that covers exactly who sends. Source: RFC 7208, the runbook."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict

from deliverability.dns import spf, zone
from deliverability.dns.spf import Lookup, Spf
from deliverability.dns.zone import Record, Zone
from deliverability.errors import Refused, RunbookError
from deliverability.estate import Estate
from deliverability.finding import Finding, judged
from deliverability.plan import Plan, SetRecord

PROCEDURE = "spf-trim"

NAMED_AT_MOST = 256
"""Addresses of a removed range that are tried one by one."""


class SpfLook(BaseModel):
    """One look at what is published, and at who sends.

    `answers` is what the records ask of DNS (name -> type -> answers), so that they can be evaluated again offline.
    `published` is domain -> server -> the SPF records it shows, None if it did not answer. `sent` counts the messages
    that the mail log shows as sent, by address.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    zone: Zone
    answers: Mapping[str, Mapping[str, tuple[str, ...]]]
    published: Mapping[str, Mapping[str, tuple[str, ...] | None]]
    sent: Mapping[str, int]


def domains(estate: Estate) -> tuple[str, ...]:
    """Those of the estate that lie in its zone: the root and the sending subdomains."""
    return tuple(name for name in estate.domains if f".{name}".endswith(f".{estate.dns.zone}"))


def records(look: SpfLook, domain: str) -> tuple[Record, ...]:
    """The SPF records of a domain at the master."""
    there = zone.at(look.zone.records, zone.relative(domain, look.zone.name), "TXT")
    return tuple(record for record in there if spf.is_spf(record.value))


def plan(look: SpfLook, estate: Estate, merge: bool = False) -> Plan:
    """`merge`: make one record of several. Raises Refused with every reason at once."""
    reasons: list[str] = []
    found: list[SetRecord] = []
    lookup = spf.offline(look.answers)
    for domain in domains(estate):
        try:
            found += changes(look, estate, domain, lookup, merge)
        except RunbookError as error:
            reasons.append(error.fact)
    if reasons:
        raise Refused("the SPF records are not safe to trim", reasons, next_step="settle these, then plan again")
    return Plan(procedure=PROCEDURE, estate=estate.name, host=look.host, changes=tuple(found), kept=kept(estate))


def changes(look: SpfLook, estate: Estate, domain: str, lookup: Lookup, merge: bool) -> Iterator[SetRecord]:
    """Those of one domain. Raises Refused, SpfError, LookupFailed."""
    found = records(look, domain)
    if not found:
        raise Refused(f"{domain} publishes no SPF record, so that there is nothing to trim")
    _agreed(look, estate, domain, found)
    old = _one(found, domain, merge)
    live = estate.senders(domain)
    _nobody_unknown(look, estate, domain, old, lookup)
    new = spf.trimmed(old, domain, live, lookup)
    if (needed := spf.lookups(new, domain, lookup)) > estate.thresholds.max_spf_lookups:
        raise Refused(
            f"{domain}: the record would need {needed} lookups, and {estate.thresholds.max_spf_lookups} is the limit"
        )
    text = spf.render(new)
    if found[0].value != text:
        gone = ", ".join(spf.diff(old, new).gone) or "nothing"
        yield _set(look, found[0], text, f"covers exactly who sends; goes: {gone}")
    for twin in found[1:]:
        yield _set(look, twin, None, "its senders are in the one record that stays")


def _set(look: SpfLook, record: Record, after: str | None, why: str) -> SetRecord:
    return SetRecord(
        host=look.host,
        zone=look.zone.name,
        owner=look.zone.owner,
        name=record.name,
        type="TXT",
        before=record.value,
        after=after,
        ttl=None if record.ttl == look.zone.ttl else record.ttl,
        why=why,
    )


def _agreed(look: SpfLook, estate: Estate, domain: str, found: tuple[Record, ...]) -> None:
    """What the slaves show must be what the master holds, or the plan is about something else.

    A resolver may remember what was there before the last change, for as long as that record's TTL.
    """
    texts = {record.value for record in found}
    resolvers = {str(address) for address in estate.dns.resolvers}
    others = {
        server: " | ".join(shown) or "none"
        for server, shown in look.published.get(domain, {}).items()
        if shown is not None and set(shown) != texts and server not in resolvers
    }
    if others:
        server, shown = next(iter(others.items()))
        raise Refused(
            f"{domain}: {', '.join(others)} do not show the record of the master; {server} shows: {shown[:300]}"
        )


def _one(found: tuple[Record, ...], domain: str, merge: bool) -> Spf:
    if len(found) == 1:
        return spf.parse(found[0].value)
    merged = spf.merged([spf.parse(record.value) for record in found])
    if not merge:
        raise Refused(
            f"{domain} has {len(found)} SPF records, for which every receiver answers permerror; `--set merge=true` "
            f"makes one of them, trimmed from: {spf.render(merged)[:300]}"
        )
    return merged


def _nobody_unknown(look: SpfLook, estate: Estate, domain: str, old: Spf, lookup: Lookup) -> None:
    """Whoever sent by this host, is authorised now and is in no stream would be cut off."""
    live = estate.senders(domain)
    for address, count in look.sent.items():
        if address in live:
            continue
        if spf.evaluate(address, domain, spf.as_if(lookup, {domain: str(old)})).verdict is spf.Verdict.PASS:
            raise Refused(
                f"{domain}: {address} is in no stream of the estate file, and sent {count} message(s) by the mail log; "
                "name its stream there, or stop it"
            )


def kept(estate: Estate) -> tuple[str, ...]:
    """What every new record still lets pass, a line each, for the person who decides."""
    return tuple(
        f"{domain}: {address}, {who}" for domain in domains(estate) for address, who in estate.senders(domain).items()
    )


def summary(look: SpfLook) -> tuple[str, ...]:
    """What the look showed, a line each."""
    silent = {server for shown in look.published.values() for server, texts in shown.items() if texts is None}
    return (
        f"{look.host}: zone {look.zone.name} of user {look.zone.owner}, serial {look.zone.serial}, "
        f"{len(look.zone.records)} records{', signed' if look.zone.signed else ''}",
        *(f"SPF of {domain}: {' | '.join(_texts(shown)) or 'none'}" for domain, shown in look.published.items()),
        *(f"{server} does not answer" for server in sorted(silent)),
        *(f"{address} sent {count} message(s), by the mail log" for address, count in sorted(look.sent.items())),
    )


def _texts(shown: Mapping[str, tuple[str, ...] | None]) -> list[str]:
    return sorted({text for texts in shown.values() for text in texts or ()})


def verdicts(plan: Plan, estate: Estate, lookup: Lookup) -> Iterator[Finding]:
    """What a receiver concludes now: pass for each sender, no pass for whatever went. `lookup` asks the world."""
    for change in plan.records():
        if change.after is None or change.before is None:
            continue
        domain = change.zone if change.name == zone.APEX else f"{change.name}.{change.zone}"
        for address, who in estate.senders(domain).items():
            result = spf.evaluate(address, domain, lookup)
            yield judged(
                f"SPF of {domain} for {address} ({who})",
                result.verdict is spf.Verdict.PASS,
                "pass",
                str(result.verdict),
                domain,
            )
        for address in gone(change, domain, lookup):
            result = spf.evaluate(address, domain, lookup)
            yield judged(
                f"SPF of {domain} for {address}",
                result.verdict is not spf.Verdict.PASS,
                "no pass",
                str(result.verdict),
                domain,
            )


def gone(change: SetRecord, domain: str, lookup: Lookup) -> list[str]:
    """The addresses that the old record let pass and the new one does not."""
    before, after = (
        spf.authorised(spf.parse(text or ""), domain, spf.as_if(lookup, {domain: text or ""}))
        for text in (change.before, change.after)
    )
    single = [str(ip) for network in before if network.num_addresses <= NAMED_AT_MOST for ip in network]
    return [text for text in single if not any(ip_address(text) in network for network in after)]


def done(plan: Plan) -> str:
    """One sentence about a plan that was carried out and passed its verification."""
    return f"{len(plan.records())} record(s) published, all senders pass, verification passed"
