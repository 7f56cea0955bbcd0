"""From what SPF and the estate's streams say to the plan that makes the host match it.

Order of the changes: notes of field experience with Postfix and ifupdown. Transports go before their addresses, because
Postfix sends from ANOTHER address, with no more than a warning, when a transport's own address is gone.
"""

from deliverability import cron
from deliverability.errors import Refused
from deliverability.estate import Estate
from deliverability.footprint import refusals
from deliverability.footprint.observation import Footprint, HostFile
from deliverability.footprint.unused import Unused, by_number, find_unused, port_number, routes_through
from deliverability.network import interfaces, interfaces_edit
from deliverability.network.addresses import LiveAddress
from deliverability.plan import EditFile, HostChange, Plan, ReloadService, RemoveAddress
from deliverability.postfix import main_cf, master_cf
from deliverability.postfix.main_cf import MainCf
from deliverability.postfix.master_cf import Service

PROCEDURE = "snowshoe-cleanup"


def plan(before: Footprint, estate: Estate) -> Plan:
    """The changes that leave only what the streams use.

    Raises MalformedFile for a file that cannot be understood, Refused with every reason that stands against it.
    """
    unused = find_unused(before, estate)
    reasons = refusals.reasons(before, estate, unused)
    if reasons:
        raise Refused(
            f"{before.host}: nothing is planned, {len(reasons)} reason(s) against it",
            reasons,
            next_step=f"settle these, then: runbook plan {PROCEDURE} --estate {estate.name}",
        )
    return Plan(
        procedure=PROCEDURE,
        estate=estate.name,
        host=before.host,
        changes=(*_postfix_changes(before, unused), *_cron_change(before), *_network_changes(before, unused)),
        kept=kept(estate),
    )


def _postfix_changes(before: Footprint, unused: Unused) -> list[HostChange]:
    main = main_cf.parse(before.main_cf.text, before.main_cf.path)
    parameters = [name for service in unused.transports for name in main_cf.service_parameters(main, service.name)]
    edits = [
        _edit(
            before.host,
            before.main_cf,
            main_cf.without(before.main_cf.text, parameters),
            "parameters of transports that go",
            tuple(f"parameter {name} = {main.value(name)}" for name in parameters),
        ),
        _edit(
            before.host,
            before.master_cf,
            master_cf.without(before.master_cf.text, [service.key for service in unused.services]),
            "no stream uses these services",
            tuple(_describe(service, main) for service in unused.services),
        ),
    ]
    changes: list[HostChange] = [edit for edit in edits if edit.before != edit.after]
    if changes or not before.configuration_loaded:
        why = "Postfix runs what its files say" if changes else "the running Postfix has not read its present files"
        changes.append(ReloadService(host=before.host, service="postfix", why=why))
    return changes


def _cron_change(before: Footprint) -> list[HostChange]:
    if before.rehab_cron is None or not (jobs := cron.jobs(before.rehab_cron.text)):
        return []
    after = cron.disable(before.rehab_cron.text, PROCEDURE)
    items = tuple(f"cron job {job}" for job in jobs)
    return [_edit(before.host, before.rehab_cron, after, "it rehabilitates addresses that go", items)]


def _network_changes(before: Footprint, unused: Unused) -> list[HostChange]:
    parsed = interfaces.parse(before.interfaces.text, before.interfaces.path)
    bound = [binding for binding in interfaces.addresses(parsed) if binding.address in unused.addresses]
    items = tuple(f"binding {binding.address}/{binding.prefix} on {binding.label}" for binding in bound)
    after = interfaces_edit.without(parsed, {binding.address for binding in bound})

    def leads(live: LiveAddress) -> bool:
        """The primary of a subnet goes last: the kernel would take the others with it, unasked."""
        return not live.secondary and not before.promote_secondaries

    edit = _edit(before.host, before.interfaces, after, "no stream uses these addresses", items)
    removals = [
        RemoveAddress(
            host=before.host,
            interface=live.interface,
            address=live.address,
            prefix=live.prefix,
            label=live.label,
            broadcast=live.broadcast,
            why="no stream uses it",
        )
        for live in sorted(before.addresses, key=lambda live: (leads(live), by_number(live.address)))
        if live.address in unused.addresses
    ]
    return [*([edit] if edit.before != edit.after else []), *removals]


def _edit(host: str, file: HostFile, after: str, why: str, items: tuple[str, ...]) -> EditFile:
    return EditFile(host=host, path=file.path, before=file.text, after=after, why=why, items=items)


def _describe(service: Service, main: MainCf) -> str:
    if service.type == "inet":
        return f"port {port_number(service)} -> {', '.join(sorted(routes_through(service, main)))}"
    address = service.overrides.get("smtp_bind_address", "no address of its own")
    helo = service.overrides.get("smtp_helo_name")
    return f"transport {service.name} ({address}{f', HELO {helo}' if helo else ''})"


def kept(estate: Estate) -> tuple[str, ...]:
    """What no plan takes away, a line each, for the person who decides."""
    streams = [
        f"stream {name}: {stream.ip}, HELO {stream.helo}"
        + (f", transport {stream.transport}" if stream.transport else "")
        for name, stream in estate.streams.items()
    ]
    return (*streams, f"infrastructure: {', '.join(str(address) for address in estate.mta.infrastructure)}")


def summary(before: Footprint) -> tuple[str, ...]:
    """What the look showed, a line each."""
    services = master_cf.parse(before.master_cf.text, before.master_cf.path).services
    sending = [live for live in before.addresses if live.scope == "global" and "." in live.address]
    return (
        f"{before.host}: {len(services)} services in {before.master_cf.path}, "
        f"{sum(service.command == 'smtp' for service in services)} of them send mail",
        f"{len(sending)} IPv4 addresses are live, SSH arrives on {before.ssh_address}",
        f"{len(before.queued_transports)} queued message(s) are bound to a transport",
        *(f"SPF of {domain} authorises {', '.join(found)}" for domain, found in sorted(before.published.items())),
    )


def done(plan: Plan) -> str:
    """One sentence about a plan that was carried out and passed its verification."""
    items = sum(len(edit.items) for edit in plan.edits())
    return f"{len(plan.removed_addresses())} addresses and {items} configuration items removed, verification passed"
