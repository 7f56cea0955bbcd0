"""A HestiaCP that the table can be run against: the rehearsal's, or a real one.

RUNBOOK_HESTIA="ssh -p 22022 root@host" and RUNBOOK_HESTIA_ZONE="USER DOMAIN" name a real one and a domain made for
this, whose records may all be deleted. It must be signed by nobody.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from hestia_row import DOMAIN, USER, Row, Step

from rehearsal.hosts import Done, Host

BIN = "/usr/local/hestia/bin"
HESTIA = "/usr/local/hestia"
DATA = f"{HESTIA}/data/users/{USER}"
PATIENCE = 5.0

CONF = """\
ID='1' RECORD='@' TYPE='NS' PRIORITY='' VALUE='ns1.he.net.' SUSPENDED='no' TIME='10:00:00' DATE='2026-06-19'
ID='2' RECORD='@' TYPE='NS' PRIORITY='' VALUE='ns2.he.net.' SUSPENDED='no' TIME='10:00:00' DATE='2026-06-19'
ID='3' RECORD='@' TYPE='A' PRIORITY='' VALUE='192.0.2.1' SUSPENDED='no' TIME='10:00:00' DATE='2026-06-19'
"""
FACTS = (
    f"DOMAIN='{DOMAIN}' IP='192.0.2.1' TPL='default' TTL='14400' EXP='2027-06-19' SOA='ns1.he.net' "
    "SERIAL='3000000007' SRC='' RECORDS='3' DNSSEC='no' KEY='' SLAVE='' MASTER='' SUSPENDED='no' "
    "TIME='10:00:00' DATE='2026-06-19'\n"
)
ACCOUNT = (
    f"NAME='{USER}'\nDNS_DOMAINS='unlimited'\nDNS_RECORDS='unlimited'\nSUSPENDED='no'\n"
    "U_DNS_DOMAINS='1'\nU_DNS_RECORDS='3'\n"
)
FRESH = """
set -e
rm -rf "$1" /home/tester /usr/local/hestia/data/queue /usr/local/hestia/log
mkdir -p "$1/dns" /usr/local/hestia/log
printf %s "$2" >"$1/dns/rows.example.conf"
printf %s "$3" >"$1/dns.conf"
printf %s "$4" >"$1/user.conf"
hestia-switch version=1.10 restart=works rebuild_seconds=0 gap_seconds=0
sed -i "s/^DNS_SYSTEM=.*/DNS_SYSTEM='bind9'/; s/^DNS_CLUSTER=.*/DNS_CLUSTER='no'/" /usr/local/hestia/conf/hestia.conf
"""


class Hestia:
    """Commands on a HestiaCP, as USER for DOMAIN."""

    user, domain = USER, DOMAIN

    def shell(self, argv: Sequence[str]) -> Done:
        raise NotImplementedError

    def prepare(self, row: Row) -> None:
        raise NotImplementedError

    def call(self, step: Step) -> Done:
        return self.shell([f"{BIN}/{step.command}", self.user, self.domain, *step.arguments])

    def records(self) -> dict[str, dict[str, Any]]:
        listed: dict[str, dict[str, Any]] = json.loads(self.list("json"))
        return listed

    def list(self, *form: str) -> str:
        return self.shell([f"{BIN}/v-list-dns-records", self.user, self.domain, *form]).stdout

    def read(self, file: str) -> str:
        return self.shell(["cat", f"{HESTIA}/{file}"]).stdout

    def answers(self, name: str, kind: str) -> set[str]:
        full = self.domain if name == "@" else f"{name}.{self.domain}"
        done = self.shell(["dig", "+short", "+time=2", "+tries=1", "@127.0.0.1", full, kind])
        return {line for line in done.stdout.splitlines() if line}

    def publishes(self, name: str, kind: str, wanted: set[str]) -> set[str]:
        """The answers, waited for: BIND reads the zone after the command has ended."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.answers(name, kind)) != wanted and time.monotonic() < deadline:
            time.sleep(0.05)
        return found


class Rehearsed(Hestia):
    def __init__(self, host: Host) -> None:
        self._host = host

    def shell(self, argv: Sequence[str]) -> Done:
        return self._host.run(argv)

    def prepare(self, row: Row) -> None:
        self.fresh()
        for file, key, value in row.given:
            path = f"{HESTIA}/conf/{file}" if file == "hestia.conf" else f"{DATA}/{file}"
            assert self.shell(["sed", "-i", f"s/\\b{key}='[^']*'/{key}='{value}'/", path]).returncode == 0
        self.switch(*row.switches)

    def fresh(self) -> None:
        done = self.shell(["sh", "-c", FRESH, "fresh", DATA, CONF, FACTS, ACCOUNT])
        assert done.returncode == 0, done.stderr

    def switch(self, *switches: str) -> None:
        assert self.shell(["hestia-switch", *switches]).returncode == 0


class Real(Hestia):
    def __init__(self, reach: str, zone: str) -> None:
        self._reach = shlex.split(reach)
        self.user, self.domain = zone.split()

    def shell(self, argv: Sequence[str]) -> Done:
        command = [*self._reach, shlex.join(argv)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def prepare(self, row: Row) -> None:
        for number in self.records():
            if int(number) >= 100:
                self.call(Step("v-delete-dns-record", (number, "no"), 0, "", ""))


def real() -> Hestia | None:
    reach, zone = os.environ.get("RUNBOOK_HESTIA"), os.environ.get("RUNBOOK_HESTIA_ZONE")
    return Real(reach, zone) if reach and zone else None
