"""How long one record takes to be asked of a master, two slaves and three resolvers, as a ratio to the slowest of them.

`python -m benchmarks.dns_time [--repetitions N] [--json]`. The servers are on this machine's loopback, and each answers
after a delay of its own. What came out: docs/reference/benchmarks.md.
"""

import argparse
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

import dns.message
import dns.rrset

from blocks.dns_servers import DnsServers
from deliverability.dns.agreement import Role, Server

ZONE, NAME = "example.com", "send.example.com"
DELAYS = (0.2, 0.4, 0.6, 0.3, 0.5, 1.0)
"""Seconds: the master, two slaves, three resolvers."""


@dataclass(frozen=True)
class Row:
    """How long one way of asking takes, in seconds; `ratio` is to the slowest server alone."""

    way: str
    seconds: float
    low: float
    high: float
    ratio: float


@contextmanager
def server(delay: float) -> Iterator[int]:
    """A name server on the loopback that answers after `delay` seconds; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        door.settimeout(0.1)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(door, delay, over))
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            over.set()
            thread.join()


def _serve(door: socket.socket, delay: float, over: threading.Event) -> None:
    while not over.is_set():
        try:
            data, peer = door.recvfrom(4096)
        except TimeoutError:
            continue
        answer = dns.message.make_response(dns.message.from_wire(data))
        (question,) = answer.question
        told = "a. b. 7 1 1 1 1" if question.rdtype == 6 else '"v=spf1 -all"'
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, told))
        threading.Timer(delay, door.sendto, (answer.to_wire(), peer)).start()


def measure(repetitions: int) -> list[Row]:
    roles = (Role.MASTER, Role.SLAVE, Role.SLAVE, Role.RESOLVER, Role.RESOLVER, Role.RESOLVER)
    with ExitStack() as stack:
        ports = [stack.enter_context(server(delay)) for delay in DELAYS]
        named = [Server(f"s{port}", "127.0.0.1", role, port) for port, role in zip(ports, roles, strict=True)]
        ways = {"the slowest alone": [[named[DELAYS.index(max(DELAYS))]]]}
        ways |= {"all, as a verification asks": [named], "one after the other": [[one] for one in named]}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(repetitions):
            for way, groups in ways.items():
                times[way].append(sum(_ask(group) for group in groups))
    slowest = statistics.median(times["the slowest alone"])
    return [
        Row(way, statistics.median(found), min(found), max(found), statistics.median(found) / slowest)
        for way, found in times.items()
    ]


def _ask(servers: list[Server]) -> float:
    block = DnsServers(zone=ZONE, servers=tuple(servers))
    began = time.perf_counter()
    answers = block.ask(NAME, "TXT")
    taken = time.perf_counter() - began
    assert all(answer.values == frozenset({"v=spf1 -all"}) for answer in answers), answers
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.repetitions)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print("| | median s | range s | ratio |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row.way} | {row.seconds:.2f} | {row.low:.2f}-{row.high:.2f} | {row.ratio:.2f} |")


if __name__ == "__main__":
    main()
