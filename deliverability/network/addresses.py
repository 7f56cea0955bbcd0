"""Read live addresses, routes and listeners, as iproute2 prints them. Source: ip(8) -j, ss(8), Linux devinet.c.

An IPv4 address is secondary when an earlier one of the interface has the same subnet. The kernel deletes the
secondaries of a subnet with its primary, unless net.ipv4.conf.IF.promote_secondaries (or .all.) is 1.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Any

from deliverability.errors import MalformedFile

ADDRESS_COMMAND = "ip -j addr show"
ROUTE_COMMAND = "ip -j route show"
LISTEN_COMMAND = "ss -Hltn"

_LOCAL = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<four>[^\s:%\[\]]+))(?:%\S+?)?:(?P<port>\d{1,5})")


@dataclass(frozen=True)
class LiveAddress:
    """One address an interface has now. `label` is eth0 or eth0:3 (IPv4); `scope` is global, link, host, ..."""

    interface: str
    address: str
    prefix: int
    label: str
    scope: str
    secondary: bool
    broadcast: str | None = None


@dataclass(frozen=True)
class Route:
    """One route: `destination` is "default" or a network; `source` the address that outgoing packets get (src)."""

    destination: str
    device: str
    gateway: str | None = None
    source: str | None = None
    metric: int | None = None
    protocol: str | None = None
    scope: str | None = None


def parse_addresses(ip_json: Sequence[Any] | str) -> tuple[LiveAddress, ...]:
    """The addresses in the output of `ip -j addr show`, text or decoded, in the kernel's order; else MalformedFile."""
    found = []
    for link in _decoded(ip_json, ADDRESS_COMMAND):
        for info in link.get("addr_info", []):
            try:
                found.append(_live(link["ifname"], info))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise MalformedFile(ADDRESS_COMMAND, 1, f"no address entry: {str(info)[:80]}") from error
    return tuple(address for address in found if address)


def parse_routes(ip_json: Sequence[Any] | str) -> tuple[Route, ...]:
    """The routes in the output of `ip -j route show`; one Route for each next hop of a multipath route."""
    routes: list[Route] = []
    for entry in _decoded(ip_json, ROUTE_COMMAND):
        try:
            routes.extend(_routes(entry))
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedFile(ROUTE_COMMAND, 1, f"no route entry: {str(entry)[:80]}") from error
    return tuple(routes)


def takes_with_it(address: str, live: Sequence[LiveAddress], promote_secondaries: bool) -> tuple[LiveAddress, ...]:
    """The other addresses the kernel deletes together with `address`.

    Those are the secondaries of the same subnet on the same interface, when `address` is its primary and secondaries
    are not promoted. IPv6 knows no secondaries. Raises ValueError for an address no interface has.
    """
    gone = [entry for entry in live if entry.address == str(ip_address(address))]
    if not gone:
        raise ValueError(f"no interface has {address}")
    if promote_secondaries:
        return ()
    subnets = {(entry.interface, _network(entry)) for entry in gone if not entry.secondary and ":" not in entry.address}
    return tuple(entry for entry in live if entry.secondary and (entry.interface, _network(entry)) in subnets)


def parse_listeners(text: str) -> frozenset[tuple[str, int]]:
    """(address, port) of every listening TCP socket in the output of `ss -Hltn`.

    The address "*" stands for every address of both families. MalformedFile for a line that is no listening socket.
    """
    found = set()
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        match = _LOCAL.fullmatch(words[3]) if len(words) >= 5 and words[0] == "LISTEN" else None
        if match is None or int(match["port"]) > 65535:
            raise MalformedFile(LISTEN_COMMAND, number, f"no listening socket: {line[:80]!r}")
        found.add((_canonical(match["six"] or match["four"]), int(match["port"])))
    return frozenset(found)


def _decoded(ip_json: Sequence[Any] | str, command: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(ip_json or "[]") if isinstance(ip_json, str) else ip_json
    except (ValueError, RecursionError) as error:
        raise MalformedFile(command, 1, f"no JSON: {str(ip_json)[:80]!r}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise MalformedFile(command, 1, "no JSON array of objects")
    return entries


def _live(interface: Any, info: Any) -> LiveAddress | None:
    if info["family"] not in ("inet", "inet6"):
        return None
    address = ip_interface(f"{info['local']}/{int(info['prefixlen'])}")
    return LiveAddress(
        interface=str(interface),
        address=str(address.ip),
        prefix=address.network.prefixlen,
        label=str(info.get("label", interface)),
        scope=str(info["scope"]),
        secondary=info.get("secondary") is True,
        broadcast=info.get("broadcast"),
    )


def _routes(entry: dict[str, Any]) -> Iterator[Route]:
    for hop in entry.get("nexthops") or [entry]:
        gateway = hop.get("gateway") or (hop.get("via") or {}).get("host")
        yield Route(
            destination=str(entry["dst"]),
            device=str(hop["dev"] if "dev" in hop else entry.get("dev", "")),
            gateway=str(gateway) if gateway else None,
            source=str(entry["prefsrc"]) if entry.get("prefsrc") else None,
            metric=int(entry["metric"]) if "metric" in entry else None,
            protocol=entry.get("protocol"),
            scope=entry.get("scope"),
        )


def _network(entry: LiveAddress) -> str:
    return str(ip_interface(f"{entry.address}/{entry.prefix}").network)


def _canonical(address: str) -> str:
    return address if address == "*" else str(ip_address(address))
