"""Why a cleanup must not be planned. Each rule is one function that yields one sentence for each thing it met."""

import posixpath
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from deliverability.estate import Estate
from deliverability.footprint.observation import Footprint
from deliverability.footprint.unused import Unused
from deliverability.network import interfaces, interfaces_edit
from deliverability.network.addresses import takes_with_it
from deliverability.network.interfaces import Interfaces, Line
from deliverability.postfix import main_cf, master_cf, transports
from deliverability.postfix.master_cf import Service

_NAMED_PORTS = {"smtp": 25, "smtps": 465, "submissions": 465, "submission": 587}
"""What master.cf may write for a port (services(5)); a stream's submission port is a number."""


def reasons(before: Footprint, estate: Estate, unused: Unused) -> tuple[str, ...]:
    """Every sentence of every rule, in the order a person would check them."""
    kept = [
        service
        for service in master_cf.parse(before.master_cf.text, before.master_cf.path).services
        if service not in unused.services
    ]
    return (
        *_unknown_addresses(before, estate),
        *_streams_not_served(before, estate, kept),
        *_streams_that_would_lose_their_port(estate, unused),
        *_addresses_in_use(before, unused, kept),
        *_primary_addresses(before, unused),
        *_bindings_out_of_reach(before, unused),
        *_transports_in_use(before, unused),
        *_queued_mail(before, unused),
        *_published_addresses(before, unused),
    )


def _unknown_addresses(before: Footprint, estate: Estate) -> Iterator[str]:
    known = estate.mta.pool_addresses() | estate.kept_addresses()
    for live in before.addresses:
        if live.scope == "global" and ip_address(live.address).version == 4 and live.address not in known:
            yield (
                f"{live.address} is bound on {live.interface} and belongs to no stream, infrastructure or pool; "
                "add it to mta.infrastructure or mta.pool in the estate file"
            )


def _streams_not_served(before: Footprint, estate: Estate, kept: list[Service]) -> Iterator[str]:
    transports = {service.name: service for service in kept if service.type == "unix"}
    for name, stream in estate.streams.items():
        if str(stream.ip) not in before.live():
            yield f"stream {name}: its address {stream.ip} is not bound on {before.host}; bind it first"
        if stream.transport is None:
            continue
        service = transports.get(stream.transport)
        if service is None:
            yield f"stream {name}: its transport {stream.transport} is not in {before.master_cf.path}; add it first"
            continue
        bound = service.overrides.get("smtp_bind_address")
        if bound != str(stream.ip):
            yield f"stream {name}: transport {stream.transport} sends from {bound or 'nowhere fixed'}, not {stream.ip}"
        helo = service.overrides.get("smtp_helo_name")
        if helo != stream.helo:
            yield f"stream {name}: transport {stream.transport} says HELO {helo or 'by default'}, not {stream.helo}"


def _streams_that_would_lose_their_port(estate: Estate, unused: Unused) -> Iterator[str]:
    for service in unused.ports:
        word = service.name.rpartition(":")[2]
        port = str(_NAMED_PORTS.get(word, word))
        for name, stream in estate.streams.items():
            if stream.submission and str(stream.submission.port) == port:
                yield f"stream {name} is handed in on port {port}, which sends through a transport no stream uses"


def _addresses_in_use(before: Footprint, unused: Unused, kept: list[Service]) -> Iterator[str]:
    main = main_cf.parse(before.main_cf.text, before.main_cf.path)
    sources = {route.source: route for route in before.routes if route.source}
    for address in unused.addresses:
        if address == before.ssh_address:
            yield f"{address} carries this SSH session; log in by an address that stays (hosts.*.address)"
        if address in sources:
            yield f"{address} is the source of the route to {sources[address].destination}; change the route first"
        for service in kept:
            if _names(address, " ".join([*service.overrides.values(), *service.args, service.name])):
                yield f"{address} is still named by the service {service.key}, which stays"
        for parameter in ("smtp_bind_address", "inet_interfaces", "proxy_interfaces"):
            if _names(address, main.expand(main.value(parameter, ""))):
                yield f"{address} is still named by {parameter} in {before.main_cf.path}"


def _primary_addresses(before: Footprint, unused: Unused) -> Iterator[str]:
    live = before.live()
    for address in (address for address in unused.addresses if address in live):
        lost = [
            entry.address
            for entry in takes_with_it(address, before.addresses, before.promote_secondaries)
            if entry.address not in unused.addresses
        ]
        if lost:
            yield (
                f"{address} is the primary address of its subnet and promote_secondaries is 0: removing it would take "
                f"{', '.join(lost)} with it. First: sysctl -w net.ipv4.conf.all.promote_secondaries=1, or make one of "
                "those the first address in the interfaces file and restart the host"
            )


def _bindings_out_of_reach(before: Footprint, unused: Unused) -> Iterator[str]:
    """Bindings that would come back at the next boot, because no plan of ours takes them out of their file."""
    for file in before.sourced_interfaces:
        for address in unused.addresses:
            if any(_names(address, line) for line in file.text.split("\n") if not line.lstrip().startswith("#")):
                yield f"{address} is bound in {file.path}; move that binding to {before.interfaces.path} or take it out"
    parsed = interfaces.parse(before.interfaces.text, before.interfaces.path)
    bound = {binding.address for binding in interfaces.addresses(parsed)}
    if unused.addresses:
        yield from _sources_elsewhere(parsed)
    lines = [line for stanza in parsed.stanzas for line in (stanza.head, *stanza.options)]
    for address in unused.addresses:
        if address not in bound and (mention := _first_mention(address, lines)):
            yield (
                f"{address} is mentioned in line {mention.number} of {parsed.path}, in a way that is not understood; "
                "edit it by hand first"
            )
    try:
        interfaces_edit.without(parsed, bound & set(unused.addresses))
    except interfaces_edit.CannotRemove as problem:
        yield f"{problem}; edit the file by hand first"


def _sources_elsewhere(parsed: Interfaces) -> Iterator[str]:
    for line in parsed.sources:
        for pattern in line.split()[1:]:
            path = posixpath.join(posixpath.dirname(parsed.path), pattern)
            if posixpath.dirname(f"{path}/").rstrip("/") != f"{parsed.path}.d" != posixpath.dirname(path):
                yield f"{parsed.path} takes in {pattern}, and only {parsed.path}.d is looked into; move its files there"


def _transports_in_use(before: Footprint, unused: Unused) -> Iterator[str]:
    main = main_cf.parse(before.main_cf.text, before.main_cf.path)
    for parameter, named in sorted(transports.transports_named(main).items()):
        for name in sorted(named & unused.names):
            yield f"transport {name} is still named by {parameter} in {before.main_cf.path}; take it out there first"
    for table in before.tables:
        if table.text is None:
            if unused.names:
                yield (
                    f"{table.kind}:{table.path} may name a transport that goes, and it cannot be looked into; "
                    f"take it out of {before.main_cf.path}, or make it a readable file"
                )
            continue
        for name in sorted(transports.transports_in_table(table.text, table.kind, table.path) & unused.names):
            yield f"transport {name} is still named in the table {table.path}; take it out there first"


def _queued_mail(before: Footprint, unused: Unused) -> Iterator[str]:
    for name in sorted(unused.names):
        stuck = sorted(queue_id for queue_id, transport in before.queued_transports.items() if transport == name)
        if stuck:
            yield (
                f"{len(stuck)} queued message(s) are bound to transport {name} ({', '.join(stuck[:3])}); deliver them "
                "(postqueue -f) or delete them (postsuper -d ID) first"
            )


def _published_addresses(before: Footprint, unused: Unused) -> Iterator[str]:
    for domain, addresses in sorted(before.published.items()):
        for address in unused.addresses:
            if any(ip_address(address) in ip_network(published, strict=False) for published in addresses):
                yield f"{address} is still authorised by the published SPF of {domain}; trim the record first"


def _first_mention(address: str, lines: list[Line]) -> Line | None:
    """The first line with the address in it, or with its network and a shell expansion: 192.0.2.$i, 192.0.2.{1..9}."""
    network = re.escape(address.rpartition(".")[0])
    expanded = re.compile(rf"(?<![\d.]){network}\.[$`{{]")
    return next((line for line in lines if _names(address, line.text) or expanded.search(line.text)), None)


def _names(address: str, text: str) -> bool:
    return re.search(rf"(?<![\d.]){re.escape(address)}(?![\d.])", text) is not None
