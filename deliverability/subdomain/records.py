"""The four DNS records of a sending subdomain, and those of them that are missing.

In an order that is safe at each step: who may send (SPF), how it is signed (DKIM), where bounces go (MX), and last the
policy (DMARC) that makes receivers reject what lacks the first two. Nothing that is published is ever replaced here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from deliverability.dkim import record as dkim
from deliverability.dkim.record import DkimError
from deliverability.dns import spf, zone
from deliverability.dns.zone import Record, Zone
from deliverability.errors import RunbookError
from deliverability.estate_tables import Domain
from deliverability.plan import KNOWN_LATER, SetRecord

MX_PRIORITY = 10


@dataclass(frozen=True)
class Wanted:
    """A record that should be there: `of_its_kind` finds those it would compete with, `same` says which will do."""

    name: str
    type: str
    value: str
    why: str
    of_its_kind: Callable[[str], bool]
    same: Callable[[str, str], bool]
    priority: int | None = None


def wanted(name: str, domain: Domain, selector: str, key: str | None) -> tuple[Wanted, ...]:
    """What the estate says of a domain. `name` is relative to the zone, `key` the record of its key if there is one."""
    below = "" if name == zone.APEX else f".{name}"
    return (
        Wanted(name, "TXT", domain.spf, "SPF: who may send", spf.is_spf, _same_words),
        Wanted(
            f"{selector}._domainkey{below}",
            "TXT",
            key or KNOWN_LATER,
            "DKIM: how its mail is signed",
            lambda _: True,
            _same_key,
        ),
        *(
            Wanted(name, "MX", f"{host}.", "MX: where its bounces go", _is(f"{host}."), _same_words, MX_PRIORITY)
            for host in domain.mx
        ),
        Wanted(f"_dmarc{below}", "TXT", domain.dmarc, "DMARC: what to do without these", _is_dmarc, _same_tags),
    )


def missing(there: Zone, master: str, records: tuple[Wanted, ...], reasons: list[str]) -> Iterator[SetRecord]:
    """Those that are not published, as changes; why one cannot be added goes to `reasons`, a sentence each."""
    for record in records:
        try:
            zone.refuse_unwritable(record.name, record.value)
        except RunbookError as error:
            reasons.append(str(error))
            continue
        against = list(_against(there, record))
        reasons += against
        if not against and not zone.at(there.records, record.name, record.type, record.of_its_kind):
            yield added(there, master, record)


def listed(there: Zone, record: Wanted) -> Wanted:
    """The record as it is published: another spelling may do as well."""
    for one in zone.at(there.records, record.name, record.type, record.of_its_kind):
        if record.same(one.value, record.value):
            return replace(record, value=one.value, priority=one.priority)
    return record


def added(there: Zone, master: str, record: Wanted) -> SetRecord:
    """The change that publishes a record."""
    return SetRecord(
        host=master,
        zone=there.name,
        owner=there.owner,
        name=record.name,
        type=record.type,
        before=None,
        after=record.value,
        priority=record.priority,
        why=record.why,
    )


def strangers(there: Zone, name: str, domain: Domain) -> Iterator[str]:
    """Mail hosts that are published and not the estate's: bounces would go to them too."""
    own = {f"{host}.".lower() for host in domain.mx}
    for one in zone.at(there.records, name, "MX"):
        if one.value.lower() not in own:
            yield f"{name} MX in {there.name} says {one.value}, which is no mx of the estate file"


def _against(there: Zone, record: Wanted) -> Iterator[str]:
    where = f"{record.name} {record.type} in {there.name}"
    published = zone.at(there.records, record.name, record.type, record.of_its_kind)
    if any((one.name, one.type) == (record.name, "CNAME") for one in there.records):
        yield f"{record.name} in {there.name} is a CNAME, beside which nothing else may stand"
    if len(published) > 1:
        yield f"{where} is there {len(published)} times: {' | '.join(one.value for one in published)[:300]}"
    elif published and not record.same(published[0].value, record.value):
        yield f"{where} says {published[0].value[:300]}, not {record.value[:300]}"
    elif not published and (suspended := _suspended(there, record)):
        yield f"{where} is suspended, as id {suspended.id}: take it out, or let it count again"


def _suspended(there: Zone, record: Wanted) -> Record | None:
    mine = (one for one in there.records if (one.name, one.type) == (record.name, record.type) and one.suspended)
    return next((one for one in mine if record.of_its_kind(one.value)), None)


def _is(value: str) -> Callable[[str], bool]:
    return lambda published: _same_words(published, value)


def _same_words(left: str, right: str) -> bool:
    return left.lower().split() == right.lower().split()


def _is_dmarc(value: str) -> bool:
    return value.replace(" ", "").lower().startswith("v=dmarc1")


def _same_tags(left: str, right: str) -> bool:
    return _tags(left) == _tags(right)


def _tags(value: str) -> Mapping[str, str]:
    pairs = (part.partition("=") for part in value.split(";") if part.strip())
    return {name.strip().lower(): text.strip() for name, _, text in pairs}


def _same_key(published: str, key: str) -> bool:
    try:
        return key != KNOWN_LATER and dkim.same_key(published, key)
    except DkimError:
        return False
