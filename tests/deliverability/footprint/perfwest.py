"""The sending host of the rehearsal as one look at it finds it: its real files, and what they bring up."""

from functools import cache
from pathlib import Path
from typing import Any

from deliverability.estate import Estate, load
from deliverability.footprint.observation import Footprint, HostFile
from deliverability.network import interfaces
from deliverability.network.addresses import LiveAddress, Route
from deliverability.plan import AddAddress, EditFile, Plan, ReloadService, RemoveAddress

ROOT = Path(__file__).parents[3]
FILES = ROOT / "rehearsal" / "hosts" / "mta" / "files"
MASTER_CF, MAIN_CF = "/etc/postfix/master.cf", "/etc/postfix/main.cf"
INTERFACES, CRON = "/etc/network/interfaces", "/etc/cron.d/pw-ip-rehab"
FIELDS = {MASTER_CF: "master_cf", MAIN_CF: "main_cf", INTERFACES: "interfaces", CRON: "rehab_cron"}
PRIMARY = "207.174.124.71"
UNUSED = tuple(f"207.174.124.{last}" for last in (90, 91, 92, 93, *range(95, 107), 108, 109))


@cache
def estate() -> Estate:
    return load(ROOT / "estates" / "performancewest.toml")


@cache
def host_file(path: str) -> HostFile:
    return HostFile(path=path, text=(FILES / path.lstrip("/")).read_text(), owner="root:root", mode="644")


def addresses(text: str) -> tuple[LiveAddress, ...]:
    """What the kernel shows after a boot with this interfaces file: .71 first, the others secondary."""
    return tuple(
        LiveAddress(
            interface=binding.interface,
            address=binding.address,
            prefix=binding.prefix,
            label=binding.label,
            scope="global",
            secondary=binding.address != PRIMARY,
            broadcast="207.174.124.255",
        )
        for binding in interfaces.addresses(interfaces.parse(text))
    )


def footprint(**changes: Any) -> Footprint:
    """The host before the cleanup, except for the fields named."""
    found = Footprint(
        host="mta",
        **{field: host_file(path) for path, field in FIELDS.items()},
        tables=(),
        sourced_interfaces=(),
        addresses=addresses(host_file(INTERFACES).text),
        routes=(Route("default", "eth0"), Route("207.174.124.0/24", "eth0", source=PRIMARY)),
        promote_secondaries=False,
        ssh_address=PRIMARY,
        listeners=(("0.0.0.0", 22), ("0.0.0.0", 25), ("0.0.0.0", 2526), ("0.0.0.0", 2527), ("0.0.0.0", 2528)),
        queued_transports={},
        configuration_loaded=True,
        published={
            "performancewest.net": ("207.174.124.107", "207.174.124.15", "207.174.124.71", "207.174.124.94"),
            "send.performancewest.net": ("207.174.124.107", "207.174.124.94"),
        },
    )
    return found.model_copy(update=changes)


def with_text(before: Footprint, path: str, text: str) -> Footprint:
    """The same host with another text in one of its files; a running Postfix has not read it yet."""
    file: HostFile = getattr(before, FIELDS[path])
    loaded = before.configuration_loaded and (path not in (MASTER_CF, MAIN_CF) or text == file.text)
    edited = file.model_copy(update={"text": text})
    return before.model_copy(update={FIELDS[path]: edited, "configuration_loaded": loaded})


def carried_out(plan: Plan, before: Footprint, count: int | None = None) -> Footprint:
    """The host after the first `count` changes of the plan, or after all of them."""
    after = before
    for change in plan.changes[:count]:
        match change:
            case EditFile():
                after = with_text(after, change.path, change.after)
            case ReloadService():
                after = after.model_copy(update={"configuration_loaded": True})
            case RemoveAddress():
                left = tuple(live for live in after.addresses if live.address != change.address)
                after = after.model_copy(update={"addresses": left})
            case AddAddress():
                fields = change.model_dump(exclude={"kind", "host", "why"})
                live = LiveAddress(**fields, scope="global", secondary=True)
                after = after.model_copy(update={"addresses": (*after.addresses, live)})
    return after
