"""Why a cleanup must not be planned, and whatever else takes services and addresses off a host.

Each rule is one function that yields one sentence for each thing it met.
"""

import posixpath
import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from deliverability.estate import Estate
from deliverability.footprint.observation import Footprint
from deliverability.footprint.unused import Unused, port_number, routes_through, strangers
from deliverability.network import interfaces, interfaces_edit
from deliverability.network.addresses import takes_with_it
from deliverability.network.interfaces import Interfaces, Line
from deliverability.postfix import main_cf, master_cf, transports
from deliverability.postfix.master_cf import Service


def reasons(before: Footprint, estate: Estate, unused: Unused) -> tuple[str, ...]:
    """Every sentence of every rule, in the order a person would check them."""
    return (
        *_unknown_addresses(before, estate),
        *_unknown_clients(before, estate),
        *_kept_addresses_missing(before, estate),
        *harm(before, estate, unused),
    )


def harm(before: Footprint, estate: Estate, unused: Unused) -> tuple[str, ...]:
    """Why a stream would not work without these services and addresses, or the host would be lost, or mail stranded."""
    kept = [
        service
        for service in master_cf.parse(before.master_cf.text, before.master_cf.path).services
        if service not in unused.services
    ]
    return (
        *_streams_not_served(before, estate, kept),
        *_streams_that_would_lose_their_port(estate, unused),
        *_addresses_in_use(before, unused, kept),
        *_primary_addresses(before, unused),
        *_bindings_out_of_reach(before, unused),
        *_transports_in_use(before, unused, kept),
        *_listeners(before, unused),
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


def _unknown_clients(before: Footprint, estate: Estate) -> Iterator[str]:
    """A content filter's way back or a smart host's client is nobody's snowshoe: its owner has to say what it is."""
    for service in strangers(before, estate):
        yield (
            f"the SMTP client {service.key} belongs to no stream and sends from no address of mta.pool; "
            "add it to mta.keep_transports in the estate file"
        )


def _kept_addresses_missing(before: Footprint, estate: Estate) -> Iterator[str]:
    """What verification will ask for has to be true already, or every good change would be undone."""
    files = (before.interfaces, *before.sourced_interfaces)
    in_file = {binding.address for file in files for binding in interfaces.addresses(interfaces.parse(file.text))}
    streams = {str(stream.ip) for stream in estate.streams.values()}
    for address in sorted(estate.kept_addresses()):
        if address not in before.live() and address not in streams:
            yield f"{address} of mta.infrastructure is not bound on {before.host}; bind it, or take it out there"
        if address in before.live() and address not in in_file:
            yield f"{address} is to stay and is bound in no interfaces file: it would be gone after the next boot"


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
        logs_as = service.overrides.get("syslog_name", "postfix")
        if logs_as != f"postfix/{stream.transport}" and not all(probe.mailbox for probe in estate.probes):
            yield (
                f"stream {name}: transport {stream.transport} logs as {logs_as}, so its mail cannot be told from other "
                f"mail; add -o syslog_name=postfix/{stream.transport}, or name a mailbox for every probe"
            )


def _streams_that_would_lose_their_port(estate: Estate, unused: Unused) -> Iterator[str]:
    for service in unused.ports:
        port = port_number(service)
        for name, stream in estate.streams.items():
            if stream.submission and str(stream.submission.port) == port:
                yield f"stream {name} is handed in on port {port}, which sends through a transport no stream uses"


def _addresses_in_use(before: Footprint, unused: Unused, kept: list[Service]) -> Iterator[str]:
    main = main_cf.parse(before.main_cf.text, before.main_cf.path)
    # The kernel's own route to a subnet comes and goes with its primary address: see _primary_addresses.
    sources = {route.source: route for route in before.routes if route.source and route.protocol != "kernel"}
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


def _listeners(before: Footprint, unused: Unused) -> Iterator[str]:
    """A program that listens on an address keeps a socket that nobody can reach any more."""
    going = {port_number(service) for service in unused.ports}
    for address, port in sorted(before.listeners):
        if address in unused.addresses and str(port) not in going:
            yield f"something listens on {address}:{port}; move it to an address that stays (ss -ltnp shows what it is)"


def _transports_in_use(before: Footprint, unused: Unused, kept: list[Service]) -> Iterator[str]:
    main = main_cf.parse(before.main_cf.text, before.main_cf.path)
    for service in kept:
        for name in sorted(routes_through(service, main) & unused.names):
            yield f"transport {name} is still named by the service {service.key}, which stays; take it out there first"
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
