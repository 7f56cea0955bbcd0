"""HestiaCP's zones, through its own commands over SSH. Source: HestiaCP 1.9.4 and 1.10.3 (both run).

Its exit codes prove nothing: where the name server does not restart, a record that was written ends with the code of a
wrong argument. So every write is proved by listing the zone again. Nothing there keeps two writers apart, two of them
get the same id: whoever writes holds the host (host_lock).
"""

import json
from collections.abc import Sequence

from blocks.ssh_session import Reader, Writer
from deliverability.dns import zone as zones
from deliverability.dns.zone import Record, Zone
from deliverability.errors import Conflict, HostError, Refused
from deliverability.plan import SetRecord

BIN = "/usr/local/hestia/bin"
"""Not on the PATH of a command over SSH: only a login shell gets it."""

NO_SUCH = 3
WRITE_SECONDS = 180.0
"""A write builds the whole zone anew: 30 s for a real one."""


def read(host: Reader, owner: str, name: str) -> Zone:
    """One zone. Raises Refused if this user does not own it, HostError, MalformedFile."""
    listed, records = host.run_all(
        (f"{BIN}/v-list-dns-domain", owner, name, "json"), (f"{BIN}/v-list-dns-records", owner, name, "json")
    )
    if listed.exit_code == NO_SUCH:
        raise Refused(
            f"{host.name}: user {owner} has no zone {name} there: {listed.stdout.strip()}",
            next_step="correct dns.zone and dns.zone_owner in the estate file",
        )
    if listed.exit_code or records.exit_code:
        raise HostError(f"{host.name}: {BIN} does not list {name}: {listed.stdout.strip()}{listed.stderr.strip()}")
    try:
        about = json.loads(listed.stdout)[name]
        ttl, serial, signed = int(about["TTL"]), int(about["SERIAL"]), about["DNSSEC"] == "yes"
    except (ValueError, KeyError, TypeError):
        raise HostError(f"{host.name}: v-list-dns-domain says nothing of {name}: {listed.stdout[:100]!r}") from None
    listing = zones.parse_listing(records.stdout)
    return Zone(name=name, owner=owner, ttl=ttl, serial=serial, signed=signed, records=listing)


def apply(host: Writer, change: SetRecord) -> str:
    """Publish one record in place of another; what was done, in words.

    Compare-and-set: a zone that already says `after` is left alone, one that says neither raises Conflict. Twins of a
    record go with it. Raises HostError if the listing afterwards does not show what was written.
    """
    done = False
    for _ in range(MOST_STEPS):
        step = _next_step(host, change)
        if step is None:
            return "published" if done else "was published already"
        said = host.run(*step, timeout=WRITE_SECONDS, check=False)
        done = True
    raise HostError(
        f"{host.name}: {change.target}: the listing does not show what was written; HestiaCP last said: "
        f"{said.stdout.strip() or 'nothing'} (exit {said.exit_code})",
        next_step=f"on {host.name}: v-list-dns-records {change.owner} {change.zone} plain",
    )


MOST_STEPS = 5
"""One write is enough for one record; each twin of it takes one more."""


def _next_step(host: Reader, change: SetRecord) -> tuple[str, ...] | None:
    """The command that brings the zone nearer to what is wanted, None if it is there."""
    records = zones.at(read(host, change.owner, change.zone).records, change.name, change.type)
    old = [record for record in records if record.value == change.before]
    new = [record for record in records if record.value == change.after]
    if change.after is not None and not new:
        zones.refuse_unwritable(change.name, change.after)
        if change.before is None:
            return _add(change, change.after)
        if not old:
            raise _conflict(host, change, records)
        return _change(change, old[0].id, change.after)
    surplus = [*old, *new[1:]]
    return _delete(change, surplus[0].id) if surplus else None


def _conflict(host: Reader, change: SetRecord, records: Sequence[Record]) -> Conflict:
    found = " | ".join(record.value for record in records) or "nothing"
    return Conflict(
        f"{host.name}: {change.target} is not what the plan was made for: it says {found[:300]}", next_step="plan again"
    )


def _add(change: SetRecord, value: str) -> tuple[str, ...]:
    priority, ttl = _text(change.priority), _text(change.ttl)
    return (f"{BIN}/v-add-dns-record", *_where(change), change.name, change.type, value, priority, "", "yes", ttl)


def _change(change: SetRecord, id: int, value: str) -> tuple[str, ...]:
    # The TTL has to be given again, or it is lost.
    what = (str(id), change.name, change.type, value, _text(change.priority), "yes", _text(change.ttl))
    return (f"{BIN}/v-change-dns-record", *_where(change), *what)


def _delete(change: SetRecord, id: int) -> tuple[str, ...]:
    return (f"{BIN}/v-delete-dns-record", *_where(change), str(id), "yes")


def _where(change: SetRecord) -> tuple[str, str]:
    return change.owner, change.zone


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
