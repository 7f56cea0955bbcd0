"""What no stream uses, of all that a host is configured for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deliverability.estate import Estate
from deliverability.footprint.observation import Footprint
from deliverability.network import interfaces
from deliverability.postfix import main_cf, master_cf, transports
from deliverability.postfix.main_cf import MainCf
from deliverability.postfix.master_cf import Service

NAMED_PORTS = {"smtp": 25, "smtps": 465, "submissions": 465, "submission": 587}
"""What master.cf may write for a port (services(5)); a stream's submission port is a number."""


@dataclass(frozen=True)
class Unused:
    """What no stream uses: services of master.cf, and addresses of the pool that are bound live or in the file."""

    transports: tuple[Service, ...]
    ports: tuple[Service, ...]
    addresses: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(service.name for service in self.transports)

    @property
    def services(self) -> tuple[Service, ...]:
        return (*self.transports, *self.ports)


def find_unused(before: Footprint, estate: Estate) -> Unused:
    """Transports of the pool's addresses (or of the estate's dormant list), and the ports that send through them.

    An SMTP client that is neither a stream's nor the pool's is somebody else's: see `strangers`.
    """
    services = master_cf.parse(before.master_cf.text, before.master_cf.path).services
    main = main_cf.parse(before.main_cf.text, before.main_cf.path)
    transports = tuple(service for service in _clients(services, estate) if _is_of_pool(service, main, estate))
    names = {service.name for service in transports}
    ports = tuple(service for service in services if service.type == "inet" and routes_through(service, main) & names)
    bound = {binding.address for binding in interfaces.addresses(interfaces.parse(before.interfaces.text))}
    addresses = (before.live() | bound) & estate.mta.pool_addresses() - estate.kept_addresses()
    return Unused(transports, ports, tuple(sorted(addresses, key=by_number)))


def strangers(before: Footprint, estate: Estate) -> tuple[Service, ...]:
    """SMTP clients that belong to no stream, are not kept by the estate, and send from no address of the pool."""
    services = master_cf.parse(before.master_cf.text, before.master_cf.path).services
    main = main_cf.parse(before.main_cf.text, before.main_cf.path)
    return tuple(service for service in _clients(services, estate) if not _is_of_pool(service, main, estate))


def routes_through(service: Service, main: MainCf) -> frozenset[str]:
    """Transports that a service routes mail through by its own overrides."""
    named = (transports.transports_in(name, main.expand(value)) for name, value in service.overrides.items())
    return frozenset().union(*named)


def port_number(service: Service) -> str:
    """The port of an inet service, as digits where it has a well-known name."""
    word = service.name.rpartition(":")[2]
    return str(NAMED_PORTS.get(word, word))


def _clients(services: Iterable[Service], estate: Estate) -> Iterator[Service]:
    kept = estate.kept_transports()
    return (s for s in services if s.type == "unix" and s.command == "smtp" and s.name not in kept)


def _is_of_pool(service: Service, main: MainCf, estate: Estate) -> bool:
    dormant = estate.mta.dormant.transports if estate.mta.dormant else ()
    bound = main.expand(service.overrides.get("smtp_bind_address", ""))
    return service.name in dormant or bound in estate.mta.pool_addresses()


def by_number(address: str) -> tuple[int, ...]:
    """A sort key: .9 comes before .10, whatever cannot be counted comes last."""
    return tuple(int(part) for part in address.split(".")) if "." in address else (999,)
