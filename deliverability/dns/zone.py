"""A zone as HestiaCP lists it, and what may be written there. Source: HestiaCP 1.9.4 and 1.10.3 (both run)."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from deliverability.dns.spf import lost_spaces
from deliverability.errors import MalformedFile, Refused

APEX = "@"
VALUE_LIMIT = 65535
"""Bytes of one record in DNS (RFC 1035 3.2.1)."""
LISTING = "v-list-dns-records"


class Record(BaseModel):
    """One record of a zone. `name` is relative, "@" for the zone's own; `value` has no outer quotes, and is unsplit.

    `ttl` (seconds) is the record's, or the zone's if it has none of its own: the listing does not tell which.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    name: str
    type: str
    value: str
    priority: int | None
    ttl: int
    suspended: bool


class Zone(BaseModel):
    """A zone as its master holds it: `ttl` (seconds) is that of records without one of their own."""

    model_config = ConfigDict(frozen=True)

    name: str
    owner: str
    ttl: int
    serial: int
    signed: bool
    records: tuple[Record, ...]


def parse_listing(text: str) -> tuple[Record, ...]:
    """The output of `v-list-dns-records USER DOMAIN json`, by id. Raises MalformedFile, also for an empty output.

    An unknown format ends with 0 and prints nothing: emptiness proves no empty zone. Two writers at once were given
    the same id; then a key is there twice, and a change to the one would be a change to both.
    """
    try:
        if not text.lstrip().startswith("{"):
            raise ValueError(text.strip()[:60])
        entries = json.loads(text, object_pairs_hook=list)
        records = [_record(dict(entry)) for _, entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedFile(LISTING, 1, f"no list of records: {str(error)[:100] or 'empty'}") from None
    twice = sorted(id for id, count in Counter(record.id for record in records).items() if count > 1)
    if twice:
        raise MalformedFile(LISTING, 1, f"several records have the same id: {', '.join(map(str, twice))}")
    return tuple(sorted(records, key=lambda record: record.id))


def _record(entry: Mapping[str, str]) -> Record:
    priority = str(entry["PRIORITY"])
    return Record(
        id=int(entry["ID"]),
        name=str(entry["RECORD"]).lower(),
        type=str(entry["TYPE"]).upper(),
        value=unquoted(str(entry["VALUE"])),
        priority=int(priority) if priority else None,
        ttl=int(entry["TTL"]),
        suspended=entry["SUSPENDED"] == "yes",
    )


def unquoted(value: str) -> str:
    """A value without the pair of quotes that HestiaCP puts round one with a space or a semicolon."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def relative(name: str, zone: str) -> str:
    """A name as HestiaCP wants it: without the zone, which it appends itself. Raises Refused for a name elsewhere."""
    bare, origin = name.lower().removesuffix("."), zone.lower().removesuffix(".")
    if bare == origin:
        return APEX
    if not bare.endswith(f".{origin}"):
        raise Refused(f"{name} is not in zone {zone}", next_step="correct dns.zone or the name in the estate file")
    return bare.removesuffix(f".{origin}")


def at(
    records: Iterable[Record], name: str, kind: str, like: Callable[[str], bool] = lambda _: True
) -> tuple[Record, ...]:
    """The published records of a relative name and a type, with a value `like` what is meant; none is suspended."""
    found = (one for one in records if (one.name, one.type) == (name, kind) and not one.suspended)
    return tuple(one for one in found if like(one.value))


def refuse_unwritable(name: str, value: str) -> None:
    """Raises Refused for what HestiaCP would take, and publish as something else."""
    reasons = []
    if name.startswith("-"):
        reasons.append(f"a name that begins with a dash ({name}) becomes a record with an empty name")
    if any(mark in value for mark in "'\"\\"):
        reasons.append("quotes and backslashes in a value are dropped or break the zone")
    if not value.isascii() or not value.isprintable():
        reasons.append("a value has printable ASCII characters only")
    if len(value) > VALUE_LIMIT:
        reasons.append(f"a value has at most {VALUE_LIMIT} bytes, and this one {len(value)}")
    reasons += [f"character {place} is a space, which gets lost between two strings" for place in lost_spaces(value)]
    if reasons:
        raise Refused(f"{name}: HestiaCP cannot publish this value as it is: {value[:60]}", reasons)
