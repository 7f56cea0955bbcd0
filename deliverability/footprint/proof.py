"""What must be true after a plan, and what else after a cleanup, on a fresh look: pure, one finding for each thing."""

from collections.abc import Iterable, Iterator

from deliverability import cron
from deliverability.errors import Refused
from deliverability.estate import Estate
from deliverability.finding import Finding, judged
from deliverability.footprint import planning
from deliverability.footprint.observation import Footprint
from deliverability.network import interfaces
from deliverability.plan import Plan
from deliverability.postfix import master_cf


def findings(plan: Plan, after: Footprint, estate: Estate, at: str) -> list[Finding]:
    """The evidence that the host is what the plan said, from a look taken at `at` over a new connection."""
    checks = (_files, _services, _ports_that_went, _stream_ports, _addresses, _queue, _ssh, _cron, _repeat)
    return [finding.model_copy(update={"at": at}) for check in checks for finding in check(plan, after, estate)]


def findings_of_any_plan(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    """What has to hold whatever was planned: the files, the streams' services, no stranded mail, a way in."""
    for check in (_files, _services, _stream_ports, _queue, _ssh):
        yield from check(plan, after, estate)


def _files(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    for edit in plan.edits():
        file = after.files().get(edit.path)
        same = file is not None and file.text == edit.after
        seen = f"{'as planned' if same else 'differs'}, {file.owner} {file.mode}" if file else "missing"
        yield judged(f"{edit.path} to the byte", same, "as planned", seen, after.host)


def _services(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    names = {service.name for service in master_cf.parse(after.master_cf.text, after.master_cf.path).services}
    lost = {stream.transport for stream in estate.streams.values() if stream.transport} - names
    yield judged("transports of the streams", not lost, "all defined", f"missing: {_list(lost)}", after.host)
    loaded = "has" if after.configuration_loaded else "has not"
    yield judged(
        "running Postfix",
        after.configuration_loaded,
        "has read its present files",
        f"{loaded} read its present files",
        after.host,
    )


def _ports_that_went(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    for edit in plan.edits():
        for item in edit.items:
            word, _, rest = item.partition(" ")
            port = rest.partition(" ")[0].rpartition(":")[2]
            if word == "port" and port.isdigit():
                is_open = int(port) in after.ports()
                yield judged(f"port {port}", not is_open, "closed", "open" if is_open else "closed", after.host)


def _stream_ports(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    for name, stream in estate.streams.items():
        if stream.submission is not None:
            is_open = stream.submission.port in after.ports()
            check = f"port {stream.submission.port} of stream {name}"
            yield judged(check, is_open, "open", "open" if is_open else "closed", after.host)


def _addresses(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    kept = estate.kept_addresses()
    places = (after.interfaces, *after.sourced_interfaces)
    in_file = {binding.address for file in places for binding in interfaces.addresses(interfaces.parse(file.text))}
    for where, found in (("live", after.live()), ("file", in_file)):
        ours = found & (estate.mta.pool_addresses() | kept)
        yield judged(f"addresses ({where})", ours == kept, _list(kept), _list(ours), after.host)


def _queue(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    known = {service.name for service in master_cf.parse(after.master_cf.text, after.master_cf.path).services}
    stranded = {queue_id for queue_id, transport in after.queued_transports.items() if transport not in known}
    yield judged("queued mail without a transport", not stranded, "none", _list(stranded), after.host)


def _ssh(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    # That this look was possible is the proof. Behind a translating router the host may see an address of its own.
    gone = {removal.address for removal in plan.removed_addresses()}
    good = after.ssh_address not in gone
    expected = "an address that stays"
    yield judged("SSH over a new connection", good, expected, after.ssh_address, after.host)


def _cron(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    active = cron.jobs(after.rehab_cron.text) if after.rehab_cron else ()
    yield judged("rehabilitation cron job", not active, "off", "on" if active else "off", after.host)


def _repeat(plan: Plan, after: Footprint, estate: Estate) -> Iterator[Finding]:
    try:
        changes = len(planning.plan(after, estate).changes)
        good, seen = not changes, f"{changes} changes" if changes else "nothing to do"
    except Refused as refusal:
        good, seen = False, "; ".join(refusal.reasons)
    yield judged("the same plan again", good, "nothing to do", seen, after.host)


def _list(items: Iterable[str]) -> str:
    return ", ".join(sorted(items)) or "none"
