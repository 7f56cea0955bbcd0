"""What sets up a sending subdomain: records, key, signing, the From of its streams. Source: the runbook, RFC 6376.

Each part is planned only as far as it is missing, so that a set-up that stopped half-way is finished by the next run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict

from deliverability import bounce_senders, listmonk
from deliverability.dkim import signing, tables
from deliverability.dkim.signing import Signing
from deliverability.dns import spf, zone
from deliverability.dns.zone import Zone
from deliverability.errors import Refused, RunbookError, SpfError
from deliverability.estate import Estate
from deliverability.estate_tables import Domain, Stream
from deliverability.listmonk import Instance
from deliverability.plan import Change, EditFile, MakeKey, Plan, ReloadService, SetListmonkFrom
from deliverability.subdomain import records

PROCEDURE = "subdomain-setup"


@dataclass(frozen=True)
class Target:
    """The subdomain, the selector of its key, and the streams whose From is in it."""

    domain: str
    selector: str
    bits: int
    said: Domain
    streams: Mapping[str, Stream]


class SubdomainLook(BaseModel):
    """One look at what is there of it.

    `mta` and `master` are the hosts. `key` is the record of the private key on the sending host, None if there is none.
    `instances` are the streams' listmonks by name, `watched` the texts of their lists of senders by path.
    """

    model_config = ConfigDict(frozen=True)

    mta: str
    master: str
    zone: Zone
    signing: Signing
    key: str | None
    instances: Mapping[str, Instance]
    watched: Mapping[str, str]


def target(estate: Estate, domain: str = "", selector: str = "") -> Target:
    """The domain that is meant, by default the only one that the estate signs. Raises Refused."""
    master, mta = (estate.hosts[name] for name in (estate.dns.master, estate.mta.host))
    if master.address == mta.address:
        raise Refused("the DNS master is the sending host: one run cannot hold it twice", next_step="do this by hand")
    signed = [name for name, said in estate.domains.items() if said.dkim]
    name = domain.lower() or (signed[0] if len(signed) == 1 else "")
    said = estate.domains.get(name)
    if said is None:
        raise Refused(
            f"{name or 'no domain'} is meant, and the estate has {', '.join(estate.domains)}",
            next_step=f'--set domain=NAME; [domains."{name or "NAME"}"] in the estate file says what it is to publish',
        )
    keys = {key.selector: key.bits for key in said.dkim}
    chosen = selector or (next(iter(keys)) if len(keys) == 1 else "")
    if not chosen:
        raise Refused(f"{name}: {len(keys)} selectors in the estate file", next_step="--set selector=NAME")
    mine = {key: stream for key, stream in estate.streams.items() if stream.domain == name and stream.submission}
    return Target(name, chosen, keys.get(chosen, 2048), said, mine)


def plan(look: SubdomainLook, estate: Estate, what: Target) -> Plan:
    """What is missing, in an order that is safe at each step. Raises Refused with every reason at once."""
    name = zone.relative(what.domain, look.zone.name)
    reasons = [*_unfit(what), *records.strangers(look.zone, name, what.said)]
    found: list[Change] = list(_key(look, what))
    published = records.wanted(name, what.said, what.selector, look.key)
    found += records.missing(look.zone, look.master, published, reasons)
    for part in (_signing, _watched, _senders):
        try:
            found += part(look, what)
        except RunbookError as error:
            reasons.append(error.fact)
    if reasons:
        raise Refused(f"{what.domain} is not set up", reasons, next_step="settle these, then plan again")
    return Plan(procedure=PROCEDURE, estate=estate.name, host=look.mta, changes=tuple(found), kept=kept(look, what))


def _unfit(what: Target) -> Iterator[str]:
    """Why the estate file itself would set up something that does not work."""
    if not what.streams:
        yield f"no stream with a submission port has its sender in {what.domain}"
    try:
        said = spf.parse(what.said.spf)
    except SpfError as error:
        yield f"domains.{what.domain}.spf: {error.fact}"
        return
    if spf.names(said):
        return  # what names lead to is asked of DNS, in the proof
    for key, stream in what.streams.items():
        if not any(ip_address(str(stream.ip)) in network for network in spf.networks(said)):
            yield f"domains.{what.domain}.spf does not let {stream.ip} of stream {key} pass"


def _key(look: SubdomainLook, what: Target) -> Iterator[MakeKey]:
    if look.key is None:
        path = signing.key_path(what.domain, what.selector)
        why = "the key its mail is signed with"
        yield MakeKey(host=look.mta, domain=what.domain, selector=what.selector, bits=what.bits, path=path, why=why)


def _signing(look: SubdomainLook, what: Target) -> tuple[EditFile | ReloadService, ...]:
    """Only of tables that stop no mail as they are: an undo makes OpenDKIM read them again."""
    now = look.signing.tables()
    wrong = list(tables.problems(now))
    path = signing.key_path(what.domain, what.selector)
    if look.key is None and any(key.path == path for key in now.keys):
        wrong.append(f"KeyTable names {path}, which is not there: mail would be signed before its key is published")
    if wrong:
        raise Refused("OpenDKIM would refuse mail with its tables as they are", wrong)
    return signing.changes(look.signing, what.domain, what.selector)


def _watched(look: SubdomainLook, what: Target) -> Iterator[EditFile]:
    """Before the first mail with the new sender goes out, so that none of its bounces is missed."""
    after = dict(look.watched)
    for stream in what.streams.values():
        if path := stream.watched_senders:
            after[path] = bounce_senders.add(after[path], stream.envelope_sender, path)
    for path, before in look.watched.items():
        if after[path] != before:
            items = tuple(f"line {line}" for line in after[path].splitlines()[len(before.splitlines()) :])
            why = "bounces of the new sender are counted too"
            yield EditFile(host=look.mta, path=path, before=before, after=after[path], why=why, items=items)


def _senders(look: SubdomainLook, what: Target) -> Iterator[SetListmonkFrom]:
    for stream in what.streams.values():
        if stream.listmonk:
            yield from listmonk.changes(look.instances[stream.listmonk], stream, look.mta)


def manual(what: Target) -> Iterator[str]:
    """What a person has to do besides, since the estate file does not say where."""
    for key, stream in what.streams.items():
        if not stream.watched_senders:
            yield f"name {stream.envelope_sender} to the bounce watcher of stream {key} (it has no watched_senders)"
        if not stream.listmonk:
            yield f"give the application of stream {key} the From {stream.sender} (it has no listmonk)"


def kept(look: SubdomainLook, what: Target) -> tuple[str, ...]:
    """What does not change, a line each, for the person who decides; first what is hers to change."""
    return (
        *(f"MANUAL: {line}" for line in manual(what)),
        *(
            f"listmonk {name}: Reply-To {', '.join(sorted({server.reply_to or 'none' for server in one.servers}))}"
            for name, one in look.instances.items()
        ),
        *(f"KeyTable: {key.name}" for key in look.signing.tables().keys),
        *(f"{path}: {address}" for path, text in look.watched.items() for address in bounce_senders.parse(text, path)),
    )


def summary(look: SubdomainLook, what: Target) -> tuple[str, ...]:
    """What the look showed, a line each."""
    unfinished = [
        f"{name}: campaign {one.name!r} ({one.status}) keeps its own From {one.from_email!r}"
        for name, instance in look.instances.items()
        for one in instance.campaigns
    ]
    return (
        f"{look.master}: zone {look.zone.name} of user {look.zone.owner}, serial {look.zone.serial}",
        f"{look.mta}: {'a' if look.key else 'no'} key {what.selector} of {what.domain}",
        f"{look.mta}: {len(look.signing.tables().keys)} key(s) in the KeyTable",
        *(f"{name}: From {one.from_email}" for name, one in look.instances.items()),
        *unfinished,
    )


def done(plan: Plan, what: Target) -> str:
    """One sentence about a plan that was carried out and passed its verification."""
    return (
        f"{what.domain} is set up: {len(plan.records())} record(s) published, mail of "
        f"{', '.join(what.streams)} is signed with {what.selector}, verification passed"
    )
