"""The sending host: one look at its footprint, and each kind of change a plan may hold."""

import shlex
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from blocks import opendkim
from blocks.resolver import PublicResolver
from blocks.ssh_session import Reader, Result, Writer
from deliverability.dkim import signing
from deliverability.errors import CommandFailed, Conflict, HostError
from deliverability.estate import Estate
from deliverability.footprint.observation import Footprint, HostFile, Table
from deliverability.network.addresses import parse_addresses, parse_listeners, parse_routes
from deliverability.plan import AddAddress, EditFile, HostChange, ReloadService, RemoveAddress
from deliverability.postfix import main_cf, master_cf, queue, transports

QMGR_START = (("ps", "-C", "qmgr", "-o", "lstart="), ("date", "+%z"))
RELOADS = 3
RELOAD_SECONDS = 1.0

TEXT_TABLES = frozenset({"btree", "cdb", "cidr", "dbm", "hash", "lmdb", "pcre", "regexp", "sdbm", "texthash"})
"""Kinds of lookup tables (postconf -m) whose source is a text file."""

QUEUE_LIMIT = 5000
"""Queued messages that are looked into one by one; a longer queue is no time for a cleanup."""


def read_footprint(host: Reader, estate: Estate, resolver: PublicResolver) -> Footprint:
    """Everything a cleanup has to know, in few round trips. Raises MalformedFile, HostError, HostUnreachable."""
    mta = estate.mta
    paths = [mta.master_cf, mta.main_cf, mta.interfaces, mta.rehab_cron]
    folder = f"{mta.interfaces}.d"
    switches = [f"/proc/sys/net/ipv4/conf/{name}/promote_secondaries" for name in ("all", mta.interface)]
    with ThreadPoolExecutor(1) as aside:
        published = aside.submit(resolver.authorised, estate.domains)
        texts, facts = _split(
            host.run_all(
                *(("cat", "--", path) for path in paths),
                ("stat", "-L", "-c", "%n\t%a\t%U:%G\t%Z", "--", *paths),
                ("ip", "-j", "addr", "show"),
                ("ip", "-j", "route", "show"),
                ("cat", "--", *switches),
                ("ss", "-Hltn"),
                ("postqueue", "-j"),
                *QMGR_START,
                ("printenv", "SSH_CONNECTION"),
                ("ls", "-1", "--", folder),
            ),
            len(paths),
        )
    stats, addresses, routes, promote, sockets, queued, started, zone, connection, names = facts
    if texts[0].exit_code != 0:
        raise HostError(
            f"{host.name}: cannot read {mta.master_cf}: {texts[0].stderr.strip()}",
            next_step="is Postfix installed there, and is mta.master_cf in the estate file right?",
        )
    _need(host, *texts[:3], addresses, routes, promote, sockets, queued)
    owners = {line.split("\t")[0]: line.split("\t")[1:] for line in stats.stdout.splitlines()}
    files = [
        HostFile(path=path, text=text.stdout, mode=owners[path][0], owner=owners[path][1])
        for path, text in zip(paths, texts, strict=True)
        if text.exit_code == 0
    ]
    changed = max(int(owners[path][2]) for path in (mta.master_cf, mta.main_cf))
    loaded = _began(started.stdout, zone.stdout) >= changed
    return Footprint(
        host=host.name,
        master_cf=files[0],
        main_cf=files[1],
        interfaces=files[2],
        rehab_cron=files[3] if len(files) > 3 else None,
        tables=_read_tables(host, files[0], files[1]),
        sourced_interfaces=_read_all(host, [f"{folder}/{name}" for name in names.stdout.split("\n") if name]),
        addresses=parse_addresses(addresses.stdout),
        routes=parse_routes(routes.stdout),
        promote_secondaries="1" in promote.stdout.split(),
        ssh_address=(connection.stdout.split() or ["", "", host.local_address])[2],
        listeners=tuple(sorted(parse_listeners(sockets.stdout))),
        queued_transports=_queued_transports(host, queued.stdout),
        configuration_loaded=loaded,
        published=published.result(),
    )


def apply(host: Writer, change: HostChange, estate: Estate, only_if: Sequence[str] = ()) -> str:
    """Make one change if it is not made yet; what was done, in words. Raises Conflict, HostError.

    `only_if` is what the command begins with that makes the change: its guard's leave.
    """
    match change:
        case EditFile():
            written = host.replace_text(change.path, change.before, change.after, only_if)
            if change.path == estate.mta.interfaces:
                _check_interfaces(host, estate)
            return "written" if written else "was written already"
        case RemoveAddress():
            return _remove_address(host, change, only_if)
        case AddAddress():
            return _add_address(host, change, only_if)
        case ReloadService(service=signing.SERVICE):
            return opendkim.reload(host, estate.mta.mail_log)
        case ReloadService():
            return _reload(host, (estate.mta.master_cf, estate.mta.main_cf))


def _check_interfaces(host: Writer, estate: Estate) -> None:
    """What ifupdown itself says about the interfaces file; raises CommandFailed with its words."""
    host.run("ifquery", "--list", "-i", estate.mta.interfaces)
    host.run("ifup", "--no-act", "--force", "-i", estate.mta.interfaces, estate.mta.interface)


def _remove_address(host: Writer, change: RemoveAddress, only_if: Sequence[str]) -> str:
    before = _live(host)
    if change.address not in before:
        return "was gone already"
    host.run(*only_if, "ip", "addr", "del", f"{change.address}/{change.prefix}", "dev", change.interface)
    # That this answer arrives also shows that the session outlived the removal.
    lost = before - _live(host) - {change.address}
    if lost:
        raise Conflict(f"{host.name}: removing {change.address} took {', '.join(sorted(lost))} with it")
    return "removed"


def _add_address(host: Writer, change: AddAddress, only_if: Sequence[str]) -> str:
    if change.address in _live(host):
        return "was there already"
    broadcast = ("brd", change.broadcast) if change.broadcast else ()
    address = f"{change.address}/{change.prefix}"
    host.run(*only_if, "ip", "addr", "add", address, *broadcast, "dev", change.interface, "label", change.label)
    return "added"


def _live(host: Reader) -> frozenset[str]:
    return frozenset(live.address for live in parse_addresses(host.run("ip", "-j", "addr", "show").stdout))


def _split(results: list[Result], count: int) -> tuple[list[Result], list[Result]]:
    return results[:count], results[count:]


def _need(host: Reader, *results: Result) -> None:
    for result in results:
        if result.exit_code != 0:
            command = shlex.join(result.argv)
            raise CommandFailed(
                f"{host.name}: {command}: {result.stderr.strip()[-300:]}",
                next_step=f"put that right on {host.name}, until this works there: {command}",
            )


def _reload(host: Writer, files: tuple[str, ...]) -> str:
    """Reload until the running Postfix is seen to have read the files.

    Process times have whole seconds: a reload within the second of the write cannot be told from one before it.
    """
    host.run("postfix", "check")
    for _ in range(RELOADS):
        host.run("postfix", "reload")
        time.sleep(RELOAD_SECONDS)
        started, zone, *stats = host.run_all(*QMGR_START, *(("stat", "-L", "-c", "%Z", "--", file) for file in files))
        if _began(started.stdout, zone.stdout) >= max(int(result.stdout) for result in stats):
            return "postfix check passed, reloaded"
    raise HostError(f"{host.name}: postfix reload ended with 0, but the queue manager was not started again")


def _began(lstart: str, zone: str) -> int:
    """Unix time at which the queue manager began, 0 if there is none. Every reload starts a new one."""
    times = [
        datetime.strptime(f"{line.strip()} {zone.strip()}", "%a %b %d %H:%M:%S %Y %z")
        for line in lstart.splitlines()
        if line.strip()
    ]
    return max((int(time.timestamp()) for time in times), default=0)


def _read_tables(host: Reader, master: HostFile, main: HostFile) -> tuple[Table, ...]:
    """The tables that main.cf and the overrides of master.cf consult for routing.

    What is no readable text (a database, a network service) is no empty table: None.
    """
    parsed = main_cf.parse(main.text, main.path)
    overrides = [
        (kind, path)
        for service in master_cf.parse(master.text, master.path).services
        for name, value in service.overrides.items()
        if name in (*transports.MAP_PARAMETERS, *transports.FILTER_PARAMETERS)
        for kind, path in transports.tables_in_value(parsed.expand(value))
    ]
    wanted = sorted({(path, kind) for kind, path in [*overrides, *(found[1:] for found in transports.tables(parsed))]})
    texts = [(path, kind) for path, kind in wanted if kind in TEXT_TABLES]
    results = host.run_all(*(("cat", "--", path) for path, _ in texts)) if texts else []
    read = {path: result.stdout for (path, _), result in zip(texts, results, strict=True) if result.exit_code == 0}
    return tuple(Table(path=path, kind=kind, text=read.get(path)) for path, kind in wanted)


def _read_all(host: Reader, paths: Sequence[str]) -> tuple[HostFile, ...]:
    """Files that nobody will edit, such as an interfaces file may take in: owner and mode are of no interest."""
    results = host.run_all(*(("cat", "--", path) for path in paths))
    return tuple(
        HostFile(path=path, text=result.stdout, owner="", mode="")
        for path, result in zip(paths, results, strict=True)
        if result.exit_code == 0
    )


def _queued_transports(host: Reader, listing: str) -> dict[str, str]:
    ids = [message.queue_id for message in queue.parse(listing)]
    if len(ids) > QUEUE_LIMIT:
        raise HostError(
            f"{host.name}: {len(ids)} messages are queued, {QUEUE_LIMIT} is the limit for looking into each",
            next_step="postqueue -f on the host, and come back when the queue is short",
        )
    bound: dict[str, str] = {}
    for chunk in _chunks(ids, 100):
        shown = queue.parse_filters(host.run("postcat", "-e", "-q", *chunk, check=False).stdout)
        # postcat stops at the first message that was delivered meanwhile: the ones after it are asked for one by one.
        for queue_id in set(chunk) - set(shown):
            shown |= queue.parse_filters(host.run("postcat", "-e", "-q", queue_id, check=False).stdout)
        bound |= shown
    return {queue_id: transports.transport_of(filter_) for queue_id, filter_ in bound.items() if filter_}


def _chunks(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
