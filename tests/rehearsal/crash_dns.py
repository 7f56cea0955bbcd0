"""The crash matrix of the two procedures that change DNS: their parts, and where a run of them can be hit.

Each part of such a procedure is old or new, and whatever it ends with must be safe: a part is new only when all parts
before it are. The next run does the rest.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crash_case import GUARD_MINUTES, NEW, OLD, Stage
from crash_points import FRESH, Point, Traces
from estate_probes import inject, until
from listmonks import HEALTHCARE, TRUCKING, sql
from zones import DNS, ZONE, listing

from blocks.host_lock import OWNER
from deliverability.dns import spf
from deployments import scenes
from estates import PATIENCE, Desk
from rehearsal import Estate

PART = "some parts new"
WRONG = "wrong"
SEND = f"send.{ZONE}"
KEY = f"/etc/opendkim/keys/{SEND}/send.private"
TRIMMED = "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 -all"
RECORDS = {
    ("send", "TXT"): "v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 -all",
    ("send._domainkey.send", "TXT"): "v=DKIM1; h=sha256; k=rsa; p=",
    ("send", "MX"): "co.carrierone.com.",
    ("_dmarc.send", "TXT"): f"v=DMARC1; p=reject; rua=mailto:dmarc@{ZONE}; ruf=mailto:dmarc@{ZONE}; fo=1",
}
FILES = {
    "/etc/opendkim/KeyTable": SEND,
    "/etc/opendkim/SigningTable": SEND,
    "/etc/bounce-watcher/trucking": SEND,
    "/etc/bounce-watcher/healthcare": SEND,
}
FROM = "SELECT value #>> '{}' FROM settings WHERE key = 'app.from_email'"
HOST_LINES = 10
"""Of the journal: two for each of the five changes under the guard."""

REBUILD_SECONDS = 5
"""All servers have four times as long to show a record: a run that is hit does not wait for minutes."""

ZONE_FILE = f"usr/local/hestia/data/users/justin/dns/{ZONE}.conf"


def spf_trim(desk: Desk) -> list[str]:
    found = [value for name, kind, value in listing(desk) if (name, kind) == ("@", "TXT") and spf.is_spf(value)]
    if len(found) != 1:
        return [WRONG]
    return [NEW if found[0] == TRIMMED else OLD if found[0].count("ip4:") == 21 else WRONG]


def subdomain_setup(desk: Desk) -> list[str]:
    try:
        senders = [sql(desk.estate, instance, FROM) for instance in (TRUCKING, HEALTHCARE)]
    except AssertionError:  # it is starting anew
        return [WRONG]
    published = listing(desk)
    records = [_record(desk, published, name, kind, value) for (name, kind), value in RECORDS.items()]
    return [*records, _signing(desk), *(NEW if f"@{SEND}>" in sender else OLD for sender in senders)]


def _record(desk: Desk, published: Sequence[tuple[str, str, str]], name: str, kind: str, wanted: str) -> str:
    mine = [value for where, what, value in published if (where, what) == (name, kind) and "yahoo" not in value]
    if not mine:
        return OLD
    if len(mine) > 1 or not mine[0].startswith(wanted):
        return WRONG
    if "_domainkey" in name:
        test = f"opendkim-testkey -d {SEND} -s send -k {KEY} -x /dev/stdin"
        said = desk.shell(f"echo Nameservers 207.174.124.22 | {test} 2>&1 || true")
        return NEW if said == "" else WRONG
    return NEW


def _signing(desk: Desk) -> str:
    """The files that change under the guard, all together; new only if OpenDKIM signs with them."""
    texts = [mark in desk.read(path) for path, mark in FILES.items()]
    if not any(texts):
        return OLD
    return NEW if all(texts) and _is_signed(desk) else WRONG


def _is_signed(desk: Desk) -> bool:
    before = desk.shell("stat -c %s /var/log/mail.log")
    inject(desk.mta, 25, "ops@contoso.com", f"noreply@{SEND}")
    tail = f"tail -c +{before.strip()} /var/log/mail.log"
    return bool(until(lambda: f"field added (s=send, d={SEND})" in desk.shell(tail), PATIENCE))


@dataclass(frozen=True)
class Subject:
    """A procedure whose parts are old or new, one after the other."""

    procedure: str
    parts: Callable[[Desk], list[str]]


SPF_TRIM = Subject("spf-trim", spf_trim)
SUBDOMAIN_SETUP = Subject("subdomain-setup", subdomain_setup)


class PartsStage(Stage):
    """An estate on which runs of such a procedure are hit."""

    def __init__(self, estate: Estate, subject: Subject) -> None:
        self._subject = subject
        super().__init__(estate)

    def _new_state(self) -> dict[str, str]:
        return {}

    def _desk(self, var: Path) -> Desk:
        desk = super()._desk(var)
        desk.write_estate(f"[guard]\nminutes = {GUARD_MINUTES}\n[dns]\nrebuild_seconds = {REBUILD_SECONDS}")
        desk.procedure = self._subject.procedure
        desk.estate.reset(*DNS)
        scenes.set_the_scene(desk.estate, desk.procedure)
        return desk

    def _state(self, desk: Desk) -> dict[str, str]:
        return {"parts": json.dumps(self._subject.parts(desk))}

    def _again(self, desk: Desk) -> str:
        """Once more until it is taken: it is refused for as long as the slaves do not show what the master holds."""
        codes: list[int] = []

        def done() -> bool:
            codes.append(desk.run("run", "--unattended").returncode)
            return codes[-1] == 0

        until(done, PATIENCE)
        return f"the next run ended with {codes[-1]}"

    def _end(self, desk: Desk, old: Mapping[str, str], again: bool) -> str:
        parts = self._subject.parts(desk)
        if WRONG in parts or parts != sorted(parts, key=[NEW, OLD].index):
            return ""
        ended = OLD if NEW not in parts else NEW if OLD not in parts else PART
        return ended if ended == NEW or not again else ""


def points(procedure: str) -> list[Point]:
    """Where a run can be hit, in order."""
    return list(_of_spf_trim() if procedure == SPF_TRIM.procedure else _of_subdomain_setup())


def _of_spf_trim() -> Iterator[Point]:
    yield Point("the master held", _is_held)
    yield from _from_then_on("the record", lambda seen: "207.174.124.90 " not in _spf_line(seen), 8, 0.5)


def _of_subdomain_setup() -> Iterator[Point]:
    yield Point("the master held", _is_held)
    yield Point("a key begun", lambda seen: seen.exists(f"{KEY[1:].rpartition('/')[0]}/.new-*") or seen.exists(KEY[1:]))
    yield Point("the key made", lambda seen: seen.exists(KEY[1:]))
    for number in range(1, len(RECORDS) + 1):
        yield from _from_then_on(
            f"record {number}",
            lambda seen, number=number: _records(seen) >= number,
            2 if number < len(RECORDS) else 7,
            0.3,
        )
    yield Point("its guard begun", lambda seen: seen.exists(FRESH) or seen.state != "")
    yield Point("armed", lambda seen: seen.state == "armed")
    for line in range(1, HOST_LINES):
        name = f"{'before' if line % 2 else 'after'} change {(line + 1) // 2}"
        yield Point(name, lambda seen, line=line: seen.lines() >= line)
    yield from _from_then_on(f"after change {HOST_LINES // 2}", lambda seen: seen.lines() >= HOST_LINES, 5, 0.4)
    yield from _from_then_on("confirmed", lambda seen: seen.state == "disarmed", 8, 0.2)


def _from_then_on(what: str, begun: Callable[[Traces], bool], count: int, apart: float) -> Iterator[Point]:
    for number in range(count):
        name = f"{what}, {number * apart:.1f} s later" if number else what
        yield Point(name, lambda seen, after=number * apart: seen.since(what, lambda: begun(seen)) > after)


def _is_held(seen: Traces) -> bool:
    return (seen.master / OWNER[1:]).exists()


def _zone(seen: Traces) -> list[str]:
    with contextlib.suppress(OSError):
        return (seen.master / ZONE_FILE).read_text().splitlines()
    return []


def _spf_line(seen: Traces) -> str:
    """Of the zone's own name; while the file is being written, what it was before."""
    return next((line for line in _zone(seen) if "RECORD='@'" in line and "v=spf1" in line), "207.174.124.90 ")


def _records(seen: Traces) -> int:
    return sum("send' TYPE=" in line for line in _zone(seen))
