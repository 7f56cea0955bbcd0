"""The zone of a rehearsal estate: at its master as HestiaCP lists it, at its servers, and as a receiver judges it."""

import json
import threading

import dns.message
import dns.query

from deliverability.dns import spf
from estates import Desk

MASTER = "207.174.124.22"
ZONE = "performancewest.net"
BIN = "/usr/local/hestia/bin"
DNS = ("cp", "ns1", "ns2", "resolver")
STREAMS = ("207.174.124.94", "207.174.124.107")


def hestia(desk: Desk, *argv: str) -> str:
    done = desk.estate.host("cp").run(argv)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listing(desk: Desk) -> list[tuple[str, str, str]]:
    """(name, type, value) of each record at the master."""
    records = json.loads(hestia(desk, f"{BIN}/v-list-dns-records", "justin", ZONE, "json"))
    return sorted((record["RECORD"], record["TYPE"], record["VALUE"].strip('"')) for record in records.values())


def serial(desk: Desk) -> int:
    about = json.loads(hestia(desk, f"{BIN}/v-list-dns-domain", "justin", ZONE, "json"))
    return int(about[ZONE]["SERIAL"])


def ask(server: str, name: str = ZONE) -> str:
    """The SPF of a name at a server; call it in the hub."""
    answer, _ = dns.query.udp_with_fallback(dns.message.make_query(name, "TXT"), server, timeout=5)
    texts = [
        b"".join(rdata.strings).decode() for rrset in answer.answer for rdata in rrset if hasattr(rdata, "strings")
    ]
    return " | ".join(filter(spf.is_spf, texts))


class Watcher:
    """Asks the master all the time what a receiver would conclude for the streams, and remembers what was no pass.

    A name without SPF is no stream's yet; once it has passed, it must pass for ever.
    """

    def __init__(self, desk: Desk, *names: str) -> None:
        self.wrong: list[str] = []
        self.passed: set[str] = set()
        self._names = names or (ZONE,)
        self._over = threading.Event()
        self._thread = threading.Thread(target=desk.in_hub, args=(self._watch,))

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()
        assert self.passed == set(self._names)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            for name in self._names:
                self._judge(name, ask(MASTER, name))

    def _judge(self, name: str, text: str) -> None:
        zone = spf.offline({name: {"TXT": [text] if text else [], "A": ["207.174.124.71"], "MX": []}})
        verdicts = {spf.evaluate(address, name, zone).verdict for address in STREAMS}
        if verdicts == {spf.Verdict.PASS}:
            self.passed.add(name)
        elif name in self.passed or verdicts != {spf.Verdict.NONE}:
            self.wrong.append(f"{name}: {text}")
