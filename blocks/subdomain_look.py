"""One look at a sending subdomain: the zone at its master; key, tables, listmonks and lists at the sending host."""

from blocks import hestia_dns, opendkim
from blocks.listmonk import Listmonk
from blocks.ssh_session import Reader
from deliverability.dkim import signing
from deliverability.errors import HostError
from deliverability.estate import Estate
from deliverability.subdomain.planning import SubdomainLook, Target


def read(master: Reader, mta: Reader, estate: Estate, what: Target) -> SubdomainLook:
    """Nothing is written. Raises Refused if the zone is not its owner's, Conflict, HostError, MalformedFile."""
    return SubdomainLook(
        mta=mta.name,
        master=master.name,
        zone=hestia_dns.read(master, estate.dns.zone_owner, estate.dns.zone),
        signing=opendkim.read(mta),
        key=opendkim.known_key(mta, signing.key_path(what.domain, what.selector)),
        instances={
            stream.listmonk: Listmonk.of(stream.listmonk, estate.listmonk[stream.listmonk]).read(mta)
            for stream in what.streams.values()
            if stream.listmonk
        },
        watched={
            stream.watched_senders: _list(mta, key, stream.watched_senders)
            for key, stream in what.streams.items()
            if stream.watched_senders
        },
    )


def _list(host: Reader, stream: str, path: str) -> str:
    found = host.run("cat", "--", path, check=False)
    if found.exit_code != 0:
        raise HostError(
            f"{host.name}: {path}: {found.stderr.strip()[-200:]}",
            next_step=f"correct streams.{stream}.watched_senders in the estate file",
        )
    return found.stdout
