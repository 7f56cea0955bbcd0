"""One look for a re-expansion: the sending host, its log, its earlier runs, the zone, and the names of the address."""

import json
from ipaddress import ip_address

from blocks import hestia_dns, mta
from blocks.guard_arming import BASE
from blocks.resolver import PublicResolver
from blocks.spf_look import LOG_BYTES
from blocks.ssh_session import Reader
from deliverability.errors import HostError
from deliverability.estate import Estate
from deliverability.footprint.observation import HostFile
from deliverability.reexpansion import days
from deliverability.reexpansion.planning import PROCEDURE, Earlier, ReexpansionLook, Target


def read(master: Reader, host: Reader, estate: Estate, what: Target) -> ReexpansionLook:
    """Nothing is written. Raises Refused, HostError, MalformedFile, LookupFailed."""
    resolver = PublicResolver.of(estate)
    log = host.run("tail", "-c", str(LOG_BYTES), "--", estate.mta.mail_log).stdout.splitlines()
    transports = [what.stream.transport or "", *(egress.transport for egress in what.stream.more)]
    return ReexpansionLook(
        footprint=mta.read_footprint(host, estate, resolver),
        script=_script(host, estate.mta.warmup_script),
        master=master.name,
        zone=hestia_dns.read(master, estate.dns.zone_owner, estate.dns.zone),
        reverse=tuple(resolver.lookup(ip_address(what.address).reverse_pointer, "PTR")),
        forward=tuple(resolver.lookup(what.egress.helo, "A")),
        earlier=_earlier(host),
        days=days.by_day(log, transports),
    )


def _script(host: Reader, path: str) -> HostFile | None:
    if not path.startswith("/"):
        return None
    text, rights = host.run_all(("cat", "--", path), ("stat", "-L", "-c", "%U:%G\t%a", "--", path))
    if text.exit_code != 0 or rights.exit_code != 0:
        raise HostError(
            f"{host.name}: {path}: {text.stderr.strip()[-200:]}",
            next_step="correct mta.warmup_script in the estate file",
        )
    owner, _, mode = rights.stdout.strip().partition("\t")
    return HostFile(path=path, text=text.stdout, owner=owner, mode=mode)


def _earlier(host: Reader) -> tuple[Earlier, ...]:
    """The re-expansions that were confirmed on this host, by what their guards have left there."""
    listed = host.run("ls", "-1", "--", BASE, check=False).stdout.splitlines()
    runs = [name for name in listed if name[:1].isdigit()]
    files = [(f"{BASE}/{run}/plan.json", f"{BASE}/{run}/state") for run in runs]
    texts = host.run_all(*(("cat", "--", path) for pair in files for path in pair)) if files else []
    found = []
    for run, plan, state in zip(runs, texts[::2], texts[1::2], strict=True):
        word, _, rest = state.stdout.partition(" ")
        if word == "disarmed" and plan.exit_code == 0:
            content = json.loads(plan.stdout)
            came = [change["address"] for change in content["changes"] if change["kind"] == "add-address"]
            if content["procedure"] == PROCEDURE:
                found += [Earlier(run=run, address=address, at=rest.split()[0]) for address in came]
    return tuple(found)
