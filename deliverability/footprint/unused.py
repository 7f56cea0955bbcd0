"""What no stream uses, of all that a host is configured for."""

from dataclasses import dataclass

from deliverability.estate import Estate
from deliverability.footprint.observation import Footprint
from deliverability.network import interfaces
from deliverability.postfix import master_cf, transports
from deliverability.postfix.master_cf import Service


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
    services = master_cf.parse(before.master_cf.text, before.master_cf.path).services
    kept = estate.kept_transports()
    transports = tuple(
        service
        for service in services
        if service.type == "unix" and service.command == "smtp" and service.name not in kept
    )
    names = {service.name for service in transports}
    ports = tuple(service for service in services if service.type == "inet" and routes_through(service) & names)
    bound = {binding.address for binding in interfaces.addresses(interfaces.parse(before.interfaces.text))}
    addresses = (before.live() | bound) & estate.mta.pool_addresses() - estate.kept_addresses()
    return Unused(transports, ports, tuple(sorted(addresses, key=by_number)))


def routes_through(service: Service) -> frozenset[str]:
    """Transports that an inet service routes its mail through by its own overrides."""
    named = (transports.transports_in(name, value) for name, value in service.overrides.items())
    return frozenset().union(*named)


def by_number(address: str) -> tuple[int, ...]:
    """A sort key: .9 comes before .10, whatever cannot be counted comes last."""
    return tuple(int(part) for part in address.split(".")) if "." in address else (999,)
