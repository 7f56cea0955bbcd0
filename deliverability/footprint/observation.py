"""What one look at a sending host and its published SPF found."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from deliverability.network.addresses import LiveAddress, Route


class HostFile(BaseModel):
    """A configuration file as it is on the host. `owner` is user:group, `mode` octal digits."""

    model_config = ConfigDict(frozen=True)

    path: str
    text: str
    owner: str
    mode: str


class Table(BaseModel):
    """The source text of a lookup table that main.cf consults, e.g. kind hash; None if it could not be looked into."""

    model_config = ConfigDict(frozen=True)

    path: str
    kind: str
    text: str | None


class Footprint(BaseModel):
    """The sending footprint of one host: configuration, live network state, queue, and what SPF says to the world.

    `listeners` are (address, port) of TCP sockets; `queued_transports` maps a queue id to the transport that the queued
    message is bound to; `configuration_loaded` tells whether the running Postfix has read its present files;
    `published` maps a domain to the addresses its SPF authorises.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    master_cf: HostFile
    main_cf: HostFile
    interfaces: HostFile
    rehab_cron: HostFile | None
    tables: tuple[Table, ...]
    sourced_interfaces: tuple[HostFile, ...]
    addresses: tuple[LiveAddress, ...]
    routes: tuple[Route, ...]
    promote_secondaries: bool
    ssh_address: str
    listeners: tuple[tuple[str, int], ...]
    queued_transports: Mapping[str, str]
    configuration_loaded: bool
    published: Mapping[str, tuple[str, ...]]

    def files(self) -> Mapping[str, HostFile]:
        """The files that a plan may edit, by path."""
        found = (self.master_cf, self.main_cf, self.interfaces, self.rehab_cron)
        return {file.path: file for file in found if file is not None}

    def live(self) -> frozenset[str]:
        return frozenset(address.address for address in self.addresses)

    def ports(self) -> frozenset[int]:
        return frozenset(port for _, port in self.listeners)
