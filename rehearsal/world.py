"""The hosts and receivers of the estate, from world.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class HostSpec:
    """A host with a file system and daemons of its own."""

    name: str
    hostname: str
    ssh: tuple[str, ...]  # addresses its sshd is known by
    port: int  # of its sshd
    program: str  # package of ours that runs in it, if any


@dataclass(frozen=True)
class ReceiverSpec:
    """A mail receiver: a network namespace with our SMTP receiver in it."""

    name: str
    mx: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class World:
    prefixes: tuple[str, ...]
    hosts: dict[str, HostSpec]
    receivers: dict[str, ReceiverSpec]


def load() -> World:
    data = tomllib.loads((HERE / "world.toml").read_text())
    hosts = {name: host(name, facts) for name, facts in data["hosts"].items()}
    receivers = {
        name: ReceiverSpec(name, facts["mx"], tuple(facts["addresses"])) for name, facts in data["receivers"].items()
    }
    return World(tuple(data["prefixes"]), hosts, receivers)


def host(name: str, facts: dict[str, Any]) -> HostSpec:
    addresses = tuple(facts.get("ssh", ()))
    return HostSpec(name, facts["hostname"], addresses, facts.get("port", 22), facts.get("program", ""))
