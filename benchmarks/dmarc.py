"""How many records of DMARC reports are read and stored in a second of CPU, as a ratio to the limit and to parsedmarc.

`python -m benchmarks.dmarc [--repetitions N] [--json]`. Ends with 1 if a target is missed.
What is compared, and what came out: docs/reference/benchmarks.md.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from benchmarks import parsedmarc_environment
from benchmarks.child import Taken
from benchmarks.dmarc_corpus import CORPORA, Facts
from benchmarks.postgresql import NoServer, Server, server
from rehearsal.progress import Progress, stopwatch

HOME = Path(__file__).parent.parent
MANY, LARGE = "many reports", "one large report"
LIMIT, PARSE = "the limit: MIME, gzip, expat without handlers", "ours, parsed"
SQLITE, POSTGRESQL = "ours, parsed and stored in SQLite", "ours, parsed and stored in PostgreSQL"
DAILY = "ours, with mail and ledger too, as every day"
WITH_SERVER = "the same, with the server's CPU"
THEIR_PARSE, THEIR_STORE = "parsedmarc, parsed", "parsedmarc, parsed and stored in SQLite"
THEIRS = {LIMIT: "", PARSE: THEIR_PARSE, THEIR_PARSE: THEIR_PARSE}
"""What a way is compared with; all others with parsedmarc's storing."""

TIMES_PARSEDMARC = 8
RECORDS_PER_SECOND = 25_000
PEAK_MEGABYTES = 64
PARTS = 2
"""In which a corpus is read."""


@dataclass(frozen=True)
class Row:
    """One way to read one corpus."""

    way: str
    rate: float
    """Records in a second of CPU."""
    limit: float
    parsedmarc: float | None
    """Ratios to these two."""
    peak: float | None
    """Megabytes, without what the same imports take alone."""


@dataclass(frozen=True)
class Target:
    """What a user was promised."""

    text: str
    found: float
    holds: bool


@dataclass(frozen=True)
class Table:
    facts: Facts
    rows: list[Row]


class Bench:
    def __init__(self, folder: Path, database: Server | None, repetitions: int, say: Progress) -> None:
        self._folder = folder
        self._database = database
        self._repetitions = repetitions
        self._say = say
        self._theirs = parsedmarc_environment.python(say)
        self._stores = 0

    def table(self, corpus: str) -> Table:
        """All ways over a part of the mails, then over the next one: the machine is faster at one time than at another,
        and a ratio must not show that."""
        mails = self._empty(corpus)
        facts = Facts(**json.loads(_run(sys.executable, "dmarc_corpus", corpus, str(mails))))
        parts = self._parts(mails)
        taken = []
        for number, part in enumerate(parts, 1):
            self._say(f"{corpus}, part {number} of {len(parts)}: ours, {self._repetitions} times, and parsedmarc")
            taken.append(self._part(part))
        return Table(facts, _rows({way: _sum([part[way] for part in taken]) for way in taken[0]}, facts.records))

    def _parts(self, mails: Path) -> list[Path]:
        files = sorted(mails.iterdir())
        parts = [self._empty(f"{mails.name} {number}") for number in range(min(PARTS, len(files)))]
        for number, file in enumerate(files):
            file.rename(parts[number % len(parts)] / file.name)
        return parts

    def _part(self, mails: Path) -> dict[str, Taken]:
        ours = [self._ours(mails) for _ in range(self._repetitions)]
        return {way: _median([one[way] for one in ours]) for way in ours[0]} | {
            THEIR_PARSE: _child(self._theirs, "dmarc_theirs", "parse", mails),
            THEIR_STORE: _child(self._theirs, "dmarc_theirs", "store", mails, self._with_tables()),
        }

    def _ours(self, mails: Path) -> dict[str, Taken]:
        taken = {
            LIMIT: _child(sys.executable, "dmarc_ours", "limit", mails),
            PARSE: _child(sys.executable, "dmarc_ours", "parse", mails),
            SQLITE: self._sqlite("store", mails),
            DAILY: self._sqlite("daily", mails),
        }
        if self._database:
            url, before = self._database.database(self._new().name), self._database.seconds()
            client = _child(sys.executable, "dmarc_ours", "store", mails, url)
            server = self._database.seconds() - before
            taken |= {POSTGRESQL: client, WITH_SERVER: Taken(0, client.seconds + server, 0)}
        return taken

    def _sqlite(self, way: str, mails: Path) -> Taken:
        return _child(sys.executable, "dmarc_ours", way, mails, f"sqlite:///{self._new()}")

    def _with_tables(self) -> Path:
        self._sqlite("store", self._empty("none"))
        return self._folder / f"store{self._stores}"

    def _new(self) -> Path:
        """A store that is not there yet."""
        self._stores += 1
        return self._folder / f"store{self._stores}"

    def _empty(self, name: str) -> Path:
        (self._folder / name).mkdir(exist_ok=True)
        return self._folder / name


def _rows(taken: dict[str, Taken], records: int) -> list[Row]:
    rates = {way: records / one.seconds for way, one in taken.items()}
    wrong = [way for way, one in taken.items() if one.records not in (0, records)]
    if wrong:
        raise SystemExit(f"not all records were read: {', '.join(wrong)}")
    return [
        Row(
            way,
            rate,
            rate / rates[LIMIT],
            rate / rates[theirs] if (theirs := THEIRS.get(way, THEIR_STORE)) else None,
            taken[way].peak / 1e6 if taken[way].peak else None,
        )
        for way, rate in rates.items()
    ]


def _sum(taken: Sequence[Taken]) -> Taken:
    return Taken(sum(one.records for one in taken), sum(one.seconds for one in taken), max(one.peak for one in taken))


def _median(taken: Sequence[Taken]) -> Taken:
    return sorted(taken, key=lambda one: one.seconds)[len(taken) // 2]


def _child(python: str | Path, module: str, way: str, mails: Path, *words: str | Path) -> Taken:
    """One way in a process of its own; its peak is what it had over one that only imports the same."""
    taken = Taken(**json.loads(_run(python, module, way, mails, *words)))
    return replace(taken, peak=max(0, taken.peak - _imports(python, module, mails)))


@lru_cache
def _imports(python: str | Path, module: str, mails: Path) -> int:
    return Taken(**json.loads(_run(python, module, "nothing", mails))).peak


def _run(python: str | Path, module: str, *words: str | Path) -> str:
    done = subprocess.run(
        [python, "-m", f"benchmarks.{module}", *words], cwd=HOME, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"benchmarks.{module} {words[0]}: exit code {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def targets(tables: dict[str, Table]) -> list[Target]:
    many, large = (_row(tables[corpus], SQLITE) for corpus in (MANY, LARGE))
    peak = max(row.peak or 0.0 for row in tables[LARGE].rows if row.way in (PARSE, SQLITE, POSTGRESQL))
    return [
        _at_least(f"{MANY}: {TIMES_PARSEDMARC} times parsedmarc, end to end", TIMES_PARSEDMARC, many.parsedmarc or 0.0),
        _at_least(f"{MANY}: {RECORDS_PER_SECOND:,} records/s, end to end", RECORDS_PER_SECOND, many.rate),
        _at_least(
            f"{LARGE}: {TIMES_PARSEDMARC} times parsedmarc, end to end", TIMES_PARSEDMARC, large.parsedmarc or 0.0
        ),
        _at_least(f"{LARGE}: {RECORDS_PER_SECOND:,} records/s, end to end", RECORDS_PER_SECOND, large.rate),
        Target(f"{LARGE}: under {PEAK_MEGABYTES} MB", peak, peak < PEAK_MEGABYTES),
    ]


def _row(table: Table, way: str) -> Row:
    return next(row for row in table.rows if row.way == way)


def _at_least(text: str, least: float, found: float) -> Target:
    return Target(text, found, found >= least)


def markdown(corpus: str, table: Table) -> str:
    facts = table.facts
    mails = f"{facts.mails:,} mail{'s' * (facts.mails > 1)}"
    repeating = facts.repeating / facts.records
    lines = [
        f"{corpus}: {mails}, {facts.records:,} records, {facts.megabytes:.0f} MB of XML; of the records {repeating:.0%}"
        " repeat one of their report but for address and count",
        "",
        "| | records/s | to the limit | to parsedmarc | peak MB |",
        "|---|---|---|---|---|",
    ]
    for row in table.rows:
        times = "" if row.parsedmarc is None else f"{row.parsedmarc:.1f}"
        peak = "" if row.peak is None else f"{row.peak:.0f}"
        lines.append(f"| {row.way} | {row.rate:,.0f} | {row.limit:.2f} | {times} | {peak} |")
    return "\n".join(lines)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1_000 else f"{number:.3g}"


def run(repetitions: int, say: Progress) -> tuple[dict[str, Table], str]:
    """The tables, and why there is no PostgreSQL in them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dmarc-")))
        database, missing = None, ""
        try:
            database = stack.enter_context(server())
        except NoServer as error:
            missing = str(error)
        bench = Bench(folder, database, repetitions, say)
        return {corpus: bench.table(corpus) for corpus in CORPORA}, missing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dmarc", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3, help="of our own ways; parsedmarc is measured once")
    parser.add_argument("--json", action="store_true", help="machine-readable, on stdout")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or PostgreSQL is left behind
    tables, missing = run(options.repetitions, stopwatch())
    judged = targets(tables)
    machine = {"repetitions": options.repetitions, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    if options.json:
        found = {corpus: asdict(table) for corpus, table in tables.items()}
        print(
            json.dumps({"schema": 1, **machine, "tables": found, "targets": [asdict(one) for one in judged]}, indent=2)
        )
    else:
        print(*(markdown(corpus, table) for corpus, table in tables.items()), sep="\n\n")
        print("", ", ".join(f"{name} {value}" for name, value in machine.items()), sep="\n")
        if missing:
            print(f"no PostgreSQL was measured: {missing}")
        print("", "| target | found | |", "|---|---|---|", sep="\n")
        print(
            *(f"| {one.text} | {_short(one.found)} | {'holds' if one.holds else 'MISSED'} |" for one in judged),
            sep="\n",
        )
    return 0 if all(one.holds for one in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
