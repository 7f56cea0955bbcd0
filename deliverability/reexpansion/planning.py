"""One sending address comes back: refused before it is safe, and then written as the stream's own is.

Source: the runbook; its condition "Postmaster Tools shows green" is no longer there to be read, and stands here as what
can be measured, and as what a person has to say. Order: receivers are told first (SPF), and the warm-up script last.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict

from deliverability.dns import spf, zone
from deliverability.dns.spf import Mechanism, Spf
from deliverability.dns.zone import Zone
from deliverability.errors import Refused, RunbookError
from deliverability.estate import Estate
from deliverability.estate_tables import Egress, Stream
from deliverability.finding import Finding, judged
from deliverability.footprint.observation import Footprint, HostFile
from deliverability.network import interfaces
from deliverability.plan import AddAddress, EditFile, Plan, ReloadService, SetRecord
from deliverability.postfix import main_cf, master_cf
from deliverability.reexpansion import copies
from deliverability.reexpansion.days import Day

PROCEDURE = "ip-reexpansion"

GOOD_DAYS = 14
APART = timedelta(days=7)
BAD_SHARE = 0.01
"""Of a day's messages: more refused for reputation make it no good day."""


@dataclass(frozen=True)
class Target:
    """The address, and the stream that is to have it."""

    name: str
    stream: Stream
    egress: Egress

    @property
    def address(self) -> str:
        return str(self.egress.ip)


class Earlier(BaseModel):
    """An address that came back before: when its run was confirmed (ISO 8601, UTC)."""

    model_config = ConfigDict(frozen=True)

    run: str
    address: str
    at: str


class ReexpansionLook(BaseModel):
    """One look. `script` is the warm-up script, None where the estate names none on the host.

    `reverse` is what the address is called in DNS, `forward` the addresses of its HELO name. `days` is how the stream's
    days went by the mail log.
    """

    model_config = ConfigDict(frozen=True)

    footprint: Footprint
    script: HostFile | None
    master: str
    zone: Zone
    reverse: tuple[str, ...]
    forward: tuple[str, ...]
    earlier: tuple[Earlier, ...]
    days: Mapping[str, Day]


def target(estate: Estate, address: str) -> Target:
    """The address among those that a stream may have more. Raises Refused."""
    for name, stream in estate.streams.items():
        for egress in stream.more:
            if str(egress.ip) == address:
                return Target(name, stream, egress)
    known = ", ".join(str(one.ip) for stream in estate.streams.values() for one in stream.more) or "none"
    raise Refused(
        f"no stream is to have {address or 'an address'} more; the estate file names: {known}",
        next_step=f'add {{ ip = "{address or "ADDRESS"}", helo = "NAME", transport = "NAME" }} to `more` of its stream',
    )


def plan(look: ReexpansionLook, estate: Estate, what: Target) -> Plan:
    """What is missing. Raises Refused with every reason at once."""
    records: list[SetRecord] = []
    changes: list[AddAddress | EditFile | ReloadService] = []
    reasons: list[str] = []
    try:
        records += _spf(look, estate, what)
    except RunbookError as error:
        reasons.append(error.fact)
    try:
        changes += _host(look, what)
    except RunbookError as error:
        reasons.append(error.fact)
    if records or changes:  # what is back already has passed these
        reasons += _too_early(look, estate, what)
    if reasons:
        raise Refused(
            f"{what.address} does not come back yet, {len(reasons)} reason(s) against it",
            reasons,
            next_step="settle these, then plan again",
        )
    return Plan(
        procedure=PROCEDURE,
        estate=estate.name,
        host=look.footprint.host,
        changes=(*records, *changes),
        kept=(*(f"MANUAL: {line}" for line in manual(look, what)), *measured(look, estate)),
        attested=attested(what) if records or changes else (),
    )


def _too_early(look: ReexpansionLook, estate: Estate, what: Target) -> Iterator[str]:
    if look.reverse != (what.egress.helo,):
        yield f"{what.address} is called {', '.join(look.reverse) or 'nothing'} in DNS, not {what.egress.helo}"
    if look.forward != (what.address,):
        yield f"{what.egress.helo} leads to {', '.join(look.forward) or 'no address'}, not to {what.address}"
    for other in look.earlier:
        if other.address != what.address and _is_recent(other.at):
            yield f"{other.address} came back at {other.at}: the next one not before {APART.days} days after it"
    for egress in what.stream.more:
        if egress != what.egress and str(egress.ip) not in look.footprint.live():
            yield f"{egress.ip} is in `more` too, and is not back yet: one at a time"
    for date, day in look.days.items():
        if day.share >= BAD_SHARE:
            yield f"{date}: {day.refused} of {day.attempts} messages were refused for reputation"


def _is_recent(at: str) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(at) < APART


def attested(what: Target) -> tuple[str, ...]:
    """What no look can tell."""
    return (
        f"the last {GOOD_DAYS} days were good at every receiver, by Postmaster Tools and SNDS",
        f"there is a capacity reason, more than 80 % of the cap of {what.stream.ip} are in use; reputation is none",
        f"Microsoft's SNDS and JMRP know {what.address}",
    )


def measured(look: ReexpansionLook, estate: Estate) -> tuple[str, ...]:
    """What this one could, for whoever is asked about the rest."""
    most = max((day.attempts for day in look.days.values()), default=0)
    cap = estate.volume.messages_per_window * 86_400 // estate.volume.window_seconds
    return (f"the mail log shows {len(look.days)} day(s), at most {most} messages a day; the cap is {cap}",)


def manual(look: ReexpansionLook, what: Target) -> Iterator[str]:
    if look.script is None:
        yield f"add {what.egress.transport} to ALL=(...) of the warm-up script, once this run is done"


def _spf(look: ReexpansionLook, estate: Estate, what: Target) -> Iterator[SetRecord]:
    """The records of all domains in whose name the stream sends: its own, and those above it in the zone."""
    for domain in estate.domains:
        if not f".{what.stream.domain}".endswith(f".{domain}"):
            continue
        name = zone.relative(domain, look.zone.name)
        found = zone.at(look.zone.records, name, "TXT", spf.is_spf)
        if len(found) != 1:
            raise Refused(f"{domain} has {len(found)} SPF records, and it has to be one")
        old = spf.parse(found[0].value)
        if any(ip_address(what.address) in network for network in spf.networks(old)):
            continue
        own_ttl = None if found[0].ttl == look.zone.ttl else found[0].ttl
        yield SetRecord(
            host=look.master,
            zone=look.zone.name,
            owner=look.zone.owner,
            name=name,
            type="TXT",
            before=found[0].value,
            after=spf.render(_with(old, what.address)),
            ttl=own_ttl,
            why=f"lets {what.address} pass, before anything is sent from it",
        )


def _with(old: Spf, address: str) -> Spf:
    """The record with one address more, before its end."""
    at = next((place for place, term in enumerate(old.terms) if _ends(term)), len(old.terms))
    return Spf((*old.terms[:at], Mechanism("+", "ip4", address), *old.terms[at:]))


def _ends(term: object) -> bool:
    return not isinstance(term, Mechanism) or term.name == "all"


def _host(look: ReexpansionLook, what: Target) -> Iterator[AddAddress | EditFile | ReloadService]:
    """The address before the transport: without it Postfix would send from another one, with no more than a warning."""
    now, host = look.footprint, look.footprint.host
    own, name = what.stream.transport or "", what.egress.transport
    why = f"stream {what.name} gets {what.address} back"
    bound = copies.address(now.interfaces.text, str(what.stream.ip), what.address, now.interfaces.path)
    if bound != now.interfaces.text:
        yield _edit(host, now.interfaces, bound, why, f"binding {what.address}")
    if what.address not in now.live():
        yield _live(look, what, why)
    words = {str(what.stream.ip): what.address, what.stream.helo: what.egress.helo, f"postfix/{own}": f"postfix/{name}"}
    service = copies.transport(now.master_cf.text, own, name, words, now.master_cf.path)
    settings = copies.parameters(now.main_cf.text, own, name, now.main_cf.path)
    edits = [
        _edit(host, now.main_cf, settings, why, f"parameters of {name}"),
        _edit(host, now.master_cf, service, why, f"transport {name} ({what.address}, HELO {what.egress.helo})"),
    ]
    changed = [edit for edit in edits if edit.before != edit.after]
    yield from changed
    if changed or not now.configuration_loaded:
        yield ReloadService(host=host, service="postfix", why="Postfix runs what its files say")
    if look.script is not None:
        warmed = copies.warmed(look.script.text, name, look.script.path)
        if warmed != look.script.text:
            yield _edit(host, look.script, warmed, f"mail is routed to {name} from now on", f"{name} in ALL=(...)")


def _edit(host: str, file: HostFile, after: str, why: str, item: str) -> EditFile:
    return EditFile(host=host, path=file.path, before=file.text, after=after, why=why, items=(item,))


def _live(look: ReexpansionLook, what: Target, why: str) -> AddAddress:
    """As the stream's own is live."""
    model = next((live for live in look.footprint.addresses if live.address == str(what.stream.ip)), None)
    if model is None:
        raise Refused(f"{what.stream.ip} of stream {what.name} is not live, so that nothing can be done as it is")
    return AddAddress(
        host=look.footprint.host,
        interface=model.interface,
        address=what.address,
        prefix=model.prefix,
        label=model.label,
        broadcast=model.broadcast,
        why=why,
    )


def summary(look: ReexpansionLook, what: Target) -> tuple[str, ...]:
    """What the look showed, a line each."""
    return (
        f"{what.address}: PTR {', '.join(look.reverse) or 'none'}; {what.egress.helo} leads to "
        f"{', '.join(look.forward) or 'nothing'}",
        *(f"{other.address} came back at {other.at} (run {other.run})" for other in look.earlier),
        *(f"{date}: {day.attempts} messages, {day.refused} refused for reputation" for date, day in look.days.items()),
    )


def findings(plan: Plan, after: ReexpansionLook, what: Target, at: str) -> list[Finding]:
    """That the host is ready to send from the address, and names it as DNS does."""
    now = after.footprint
    service = master_cf.parse(now.master_cf.text, now.master_cf.path).effective.get(f"{what.egress.transport}/unix")
    main = main_cf.parse(now.main_cf.text, now.main_cf.path)
    said = {key: main.expand(value) for key, value in service.overrides.items()} if service else {}
    bound = {one.address for one in interfaces.addresses(interfaces.parse(now.interfaces.text, now.interfaces.path))}
    where = now.host
    found = (
        judged("address (live)", what.address in now.live(), what.address, ", ".join(sorted(now.live())), where),
        judged("address (file)", what.address in bound, what.address, "bound" if what.address in bound else "", where),
        judged(
            f"transport {what.egress.transport}",
            said.get("smtp_bind_address") == what.address and said.get("smtp_helo_name") == what.egress.helo,
            f"{what.address}, HELO {what.egress.helo}",
            f"{said.get('smtp_bind_address', 'none')}, HELO {said.get('smtp_helo_name', 'none')}",
            where,
        ),
        judged("PTR and HELO", after.reverse == (what.egress.helo,), what.egress.helo, ", ".join(after.reverse), "DNS"),
        judged("Postfix has read its files", now.configuration_loaded, "yes", str(now.configuration_loaded), where),
    )
    return [one.model_copy(update={"at": at}) for one in found]


def done(what: Target) -> str:
    """One sentence about a plan that was carried out and passed its verification."""
    return (
        f"{what.address} is back for stream {what.name}, by transport {what.egress.transport}; begin with 5 % of its "
        f"traffic, and add no other one for {APART.days} days"
    )
