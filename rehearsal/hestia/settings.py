"""Where HestiaCP keeps what it knows, its own settings, and the switches of this stand-in."""

import re
from dataclasses import dataclass
from pathlib import Path

HESTIA = Path("/usr/local/hestia")
USERS = HESTIA / "data/users"
QUEUE = HESTIA / "data/queue"
BIN = HESTIA / "bin"
LOG = HESTIA / "log"
CONF = HESTIA / "conf/hestia.conf"
SWITCHES = Path("/etc/hestia-shim.conf")
HOMES = Path("/home")
NAMED_CONF = Path("/etc/bind/named.conf")
KEYS = Path("/var/cache/bind")

SETTING = re.compile(r"^(\w+)='?([^'\n]*)'?$", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    version: tuple[int, ...]
    dns_system: str
    cluster: bool
    cluster_system: str
    restart_fails: bool
    rebuild_seconds: float
    """Of the whole zone, spread over its records: each costs the real one several processes."""
    gap_seconds: float
    """Between reading the highest ID, checking that the next is free, and writing it: there too the real one starts
    processes. Without the gap the race of parallel additions would be rare here."""

    @property
    def strict(self) -> bool:
        """Records are parsed and checked by PHP, no longer by the shell's eval."""
        return self.version >= (1, 9, 9)

    @property
    def counts_serials(self) -> bool:
        """Serials are a plain counter, no longer a date."""
        return self.version >= (1, 10)


def read() -> Settings:
    own = dict(SETTING.findall(CONF.read_text()))
    switches = dict(SETTING.findall(SWITCHES.read_text())) if SWITCHES.exists() else {}
    return Settings(
        version=tuple(int(part) for part in own["VERSION"].split(".")),
        dns_system=own.get("DNS_SYSTEM", ""),
        cluster=own.get("DNS_CLUSTER") == "yes",
        cluster_system=own.get("DNS_CLUSTER_SYSTEM", ""),
        restart_fails=switches.get("restart") == "fails",
        rebuild_seconds=float(switches.get("rebuild_seconds", 0)),
        gap_seconds=float(switches.get("gap_seconds", 0.05)),
    )
