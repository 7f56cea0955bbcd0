"""A row of the table of HestiaCP's behaviour: what is called, and what must be so afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field

ADD, CHANGE, DELETE = "v-add-dns-record", "v-change-dns-record", "v-delete-dns-record"
SUSPEND, UNSUSPEND, REBUILD = "v-suspend-dns-record", "v-unsuspend-dns-record", "v-rebuild-dns-domain"
LIST, DNSSEC = "v-list-dns-records", "v-change-dns-domain-dnssec"
USER, DOMAIN = "tester", "rows.example"


@dataclass(frozen=True)
class Step:
    """One call: its arguments after USER DOMAIN, its exit code, and a part of what it prints; "" is nothing at all."""

    command: str
    arguments: tuple[str, ...]
    code: int
    says: str
    noise: str  # part of stderr


@dataclass(frozen=True)
class Row:
    title: str
    since: str
    steps: tuple[Step, ...]
    listed: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    """ID -> fields it is listed with; None: it is not listed."""
    stored: tuple[str, ...] = ()
    """Parts of the file of the domain's records."""
    published: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """(name, type) -> the answers of the server."""
    switches: tuple[str, ...] = ()
    given: tuple[tuple[str, str, str], ...] = ()
    """(file, key, value) set before: files of the user, or hestia.conf."""
    files: Mapping[str, str] = field(default_factory=dict)
    """file below the HestiaCP folder -> a regular expression that is found in it."""

    @property
    def here(self) -> bool:
        """It needs more than a scratch domain."""
        return bool(self.switches or self.given or self.files)


def call(command: str, *arguments: str, code: int = 0, says: str = "", noise: str = "") -> Step:
    return Step(command, arguments, code, says, noise)


def add(*arguments: str, code: int = 0, says: str = "", noise: str = "") -> Step:
    return call(ADD, *arguments, code=code, says=says, noise=noise)


def numbered(number: str, record: str, rtype: str, value: str, ttl: str = "") -> Step:
    return call(ADD, record, rtype, value, "", number, "no", ttl)


OLD, NEW, FAILING = ("version=1.9",), ("version=1.10",), ("restart=fails",)
NOTHING: dict[str, str] | None = None
