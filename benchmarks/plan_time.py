"""How long a plan takes near the host and far from it, as a ratio to a bare shell script over one SSH connection.

`python -m benchmarks.plan_time [--repetitions N] [--json]`, on a machine that can run the rehearsal estate.
What is compared, and what came out: docs/reference/benchmarks.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments import rehearse, settings
from rehearsal import STATE_VARIABLE, Estate, RehearsalError
from rehearsal.progress import stopwatch

HERE = Path(__file__).parent
MTA = "207.174.124.71"
RESOLVER = "8.8.8.8"
CHANGES_PENDING = 2
SHELL, OBSERVATION, PLAN = "shell, one exec", "observation", "runbook plan"
LOGGED_SECONDS = 0.3
DELAY_SECONDS = 10.0
CONNECT = """
import socket, sys, time
began = time.perf_counter()
socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
print(time.perf_counter() - began)
"""


@dataclass(frozen=True)
class Network:
    """Milliseconds of delay in a round trip from the operator to the sending host and to the public resolvers."""

    host: int
    resolvers: int


NETWORKS = (Network(0, 0), Network(100, 0), Network(100, 100))


@dataclass(frozen=True)
class Sample:
    seconds: float
    connections: int
    bytes: int


@dataclass(frozen=True)
class Row:
    """One way in one network. `round_trips` is the time that the delay added, in delays.

    It is left out for the whole command: starting the process varies by more than a round trip.
    """

    way: str
    host_ms: int
    resolvers_ms: int
    seconds: float
    fastest: float
    slowest: float
    ratio: float
    round_trips: float | None
    connections: float
    kilobytes: float


class Bench:
    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        home = settings.environment(rehearse.prefect_home(estate.state))
        self._environment = os.environ | home | {STATE_VARIABLE: str(estate.state)}
        command = [sys.executable, "-m", "benchmarks.observation"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        observer = estate.hub_popen(command, env=self._environment, **pipes)
        assert observer.stdin is not None
        assert observer.stdout is not None
        self._ask, self._answers = observer.stdin, observer.stdout
        if self._answers.readline() != "ready\n":
            raise SystemExit("the observing process did not start")
        self.ways: dict[str, Callable[[], float]] = {
            SHELL: self._shell,
            OBSERVATION: self._observation,
            PLAN: self._plan,
        }

    def measure(self, way: str) -> Sample:
        connections, size = self._connections(), self._bytes()
        seconds = self.ways[way]()
        time.sleep(LOGGED_SECONDS)
        return Sample(seconds, self._connections() - connections, self._bytes() - size)

    def set(self, network: Network) -> None:
        for name, milliseconds, address, port in (
            ("mta", network.host, MTA, 22),
            ("resolver", network.resolvers, RESOLVER, 53),
        ):
            if milliseconds:
                self._estate.delay(name, milliseconds)
            else:
                self._estate.undelay(name)
            self._await_delay(address, port, milliseconds)

    def _shell(self) -> float:
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": f"{self._estate.state}/known_hosts",
            "GlobalKnownHostsFile": "/dev/null",
            "IdentitiesOnly": "yes",
            "IdentityFile": f"{self._estate.state}/keys/operator",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        script = (HERE / "observe.sh").read_text()
        seconds, done = timed(["ssh", "-F", "/dev/null", *words, f"root@{MTA}", "sh", "-s"], self._estate, input=script)
        if done.returncode != 0 or self._master_cf() not in done.stdout:
            raise SystemExit(f"observe.sh ended with {done.returncode}: {done.stderr}")
        return seconds

    def _observation(self) -> float:
        self._ask.write("again\n")
        self._ask.flush()
        return float(self._answers.readline())

    def _plan(self) -> float:
        command = [sys.executable, "-m", "cli", "plan", "snowshoe-cleanup", "--estate", "rehearsal"]
        seconds, done = timed(command, self._estate, env=self._environment)
        if done.returncode != CHANGES_PENDING:
            raise SystemExit(f"runbook plan ended with {done.returncode}: {done.stderr}")
        return seconds

    def _await_delay(self, address: str, port: int, milliseconds: int) -> None:
        """The delay line takes a moment to start, and loses what is sent meanwhile."""
        deadline = time.monotonic() + DELAY_SECONDS
        while time.monotonic() < deadline:
            done = self._estate.hub_run([sys.executable, "-I", "-c", CONNECT, address, str(port)])
            if done.returncode == 0 and milliseconds <= float(done.stdout) * 1000 < milliseconds + 50:
                return
        raise SystemExit(f"no round trip of {milliseconds} ms to {address}")

    def _master_cf(self) -> str:
        return self._estate.host("mta").run(["cat", "/etc/postfix/master.cf"]).stdout

    def _connections(self) -> int:
        return int(self._estate.host("mta").run(["grep", "-c", "Accepted publickey", "/var/log/auth.log"]).stdout)

    def _bytes(self) -> int:
        """Both directions of the host's cable."""
        counters = json.loads(self._estate.hub_run(["ip", "-j", "-s", "link", "show", "p-mta"]).stdout)[0]["stats64"]
        return int(counters["rx"]["bytes"] + counters["tx"]["bytes"])


def timed(command: list[str], estate: Estate, **options: Any) -> tuple[float, subprocess.CompletedProcess[str]]:
    began = time.perf_counter()
    done = estate.hub_run(command, **options)
    return time.perf_counter() - began, done


def rows(samples: dict[tuple[str, Network], list[Sample]]) -> list[Row]:
    def seconds(way: str, network: Network) -> float:
        return statistics.median(sample.seconds for sample in samples[way, network])

    made = []
    for (way, network), taken in samples.items():
        added = seconds(way, network) - seconds(way, NETWORKS[0])
        made.append(
            Row(
                way,
                network.host,
                network.resolvers,
                seconds(way, network),
                min(sample.seconds for sample in taken),
                max(sample.seconds for sample in taken),
                seconds(way, network) / seconds(SHELL, network),
                added * 1000 / network.host if network.host and way != PLAN else None,
                statistics.median(sample.connections for sample in taken),
                statistics.median(sample.bytes for sample in taken) / 1000,
            )
        )
    return sorted(made, key=lambda row: (row.host_ms, row.resolvers_ms))


def markdown(table: list[Row]) -> str:
    lines = [
        "| | RTT host / resolvers, ms | median s | range s | ratio | round trips | SSH connections | kB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        trips = "" if row.round_trips is None else f"{row.round_trips:.1f}"
        times = f"{row.seconds:.2f} | {row.fastest:.2f}-{row.slowest:.2f} | {row.ratio:.2f} | {trips}"
        lines.append(
            f"| {row.way} | {row.host_ms} / {row.resolvers_ms} | {times} | {row.connections:g} | {row.kilobytes:.0f} |"
        )
    return "\n".join(lines)


def run(repetitions: int) -> list[Row]:
    say = stopwatch()
    with Estate(say) as estate:
        bench = Bench(estate)
        for way in bench.ways:  # fills the resolver's cache and the machine's
            bench.ways[way]()
        samples: dict[tuple[str, Network], list[Sample]] = {(way, net): [] for way in bench.ways for net in NETWORKS}
        for repetition in range(repetitions):
            say(f"repetition {repetition + 1} of {repetitions}")
            for network in NETWORKS:
                bench.set(network)
                for way in bench.ways:
                    samples[way, network].append(bench.measure(way))
        return rows(samples)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan_time", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="machine-readable, on stdout")
    options = parser.parse_args()
    try:
        table = run(options.repetitions)
    except RehearsalError as error:
        print(error, file=sys.stderr)
        return 1
    machine = {"repetitions": options.repetitions, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    if options.json:
        print(json.dumps({"schema": 1, **machine, "rows": [vars(row) for row in table]}, indent=2))
    else:
        print(markdown(table), "", ", ".join(f"{name} {value}" for name, value in machine.items()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
