"""One command that was called: its answer and its traces in the logs."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path

from rehearsal.hestia import store
from rehearsal.hestia.settings import HOMES, LOG, USERS, Settings
from rehearsal.hestia.store import Fields, Objects


class Code(IntEnum):
    OK = 0
    ARGS = 1
    INVALID = 2
    NOTEXIST = 3
    EXISTS = 4
    SUSPENDED = 5
    UNSUSPENDED = 6
    LIMIT = 8
    DISABLED = 11
    RESTART = 20


class Refused(Exception):
    """The command ends here. Its text goes to stdout, as every error of HestiaCP does."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Call:
    command: str
    arguments: tuple[str, ...]
    settings: Settings

    def take(self, count: int) -> list[str]:
        """The first `count` arguments; those that were not given are empty."""
        return [*self.arguments, *[""] * count][:count]

    def log(self, code: int | str = 0) -> None:
        """HestiaCP logs every argument, values too."""
        said = "".join(f" '{argument}'" for argument in self.arguments)
        line = f"{datetime.now():%F %T} {self.command} {said}"
        if code == 0:
            store.append(LOG / "system.log", line)
        else:
            store.append(LOG / "error.log", f"{line} [Error {code}]")


@dataclass(frozen=True)
class Domain:
    """A DNS domain of a user: two entries in the user's files, and the zone file made from them."""

    user: str
    name: str

    @property
    def home(self) -> Path:
        return USERS / self.user

    @property
    def records(self) -> Objects:
        return Objects(self.home / "dns" / f"{self.name}.conf", "ID")

    @property
    def domains(self) -> Objects:
        return Objects(self.home / "dns.conf", "DOMAIN")

    @property
    def facts(self) -> Fields:
        return self.domains.find(self.name)

    @property
    def zone_file(self) -> Path:
        return HOMES / self.user / "conf/dns" / f"{self.name}.db"

    def count(self, change: int) -> None:
        """The counters. The domain's is counted anew, the user's is only moved."""
        self.domains.update(self.name, {"RECORDS": str(len(self.records.all()))})
        file = self.home / "user.conf"
        user = store.parse(store.read(file).replace("\n", " "))
        user["U_DNS_RECORDS"] = str(max(0, int(user.get("U_DNS_RECORDS") or 0) + change))
        store.write(file, "".join(f"{key}='{value}'\n" for key, value in user.items()))

    def note(self, message: str) -> None:
        """A line in the user's history."""
        history = Objects(self.home / "history.log", "ID")
        number = 1 + max((int(entry["ID"]) for entry in history.all()), default=0)
        now = datetime.now()
        when = {"DATE": f"{now:%F}", "TIME": f"{now:%T}"}
        message = message.replace("'", "")
        history.add({"ID": str(number), **when, "LEVEL": "Info", "CATEGORY": "DNS", "MESSAGE": message})
