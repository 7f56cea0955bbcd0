"""The crash matrix: the snowshoe cleanup is hit at every step, by everything, and must end in the old or the new state.

make faults     or, for a part of it:     .venv/bin/python tests/rehearsal/crash_matrix.py --only "cable cut" --every 5
"""

import argparse
import json
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from crash_case import HALF, NEW, OLD, Case, Outcome, Stage
from crash_dns import PART, SPF_TRIM, SUBDOMAIN_SETUP, PartsStage
from crash_passes import cases

from estates import started
from rehearsal import Estate

ESTATES = 6
"""A case is waiting most of the time: so many side by side keep two cores busy."""

_STARTING = threading.Lock()
"""One after the other: the start of a Prefect server is what takes most of the machine."""

HEADER = (
    "what happened",
    "points",
    "ended old",
    "ended new",
    "some parts new",
    "half-changed",
    "hung",
    "mail stopped",
    "longest, s",
)


def table(outcomes: Iterable[Outcome]) -> str:
    """In Markdown, a row a pass."""
    passes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        passes.setdefault(outcome.kind, []).append(outcome)
    rows = [HEADER, ("---", *["---:"] * (len(HEADER) - 1)), *(_row(kind, ended) for kind, ended in passes.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(kind: str, ended: Sequence[Outcome]) -> tuple[str, ...]:
    old, new, part = (sum(one.end == state for one in ended) for state in (OLD, NEW, PART))
    hung, stopped = sum(one.hung for one in ended), sum(not one.mail for one in ended)
    counts = (len(ended), old, new, part, len(ended) - old - new - part, hung, stopped)
    return kind, *map(str, counts), f"{max(one.seconds for one in ended):.0f}"


Ended = Callable[[Outcome], None]


def play(chosen: Sequence[Case], estates: int, ended: Ended) -> None:
    """Play cases on so many estates side by side; each outcome is told as soon as it is there."""
    waiting: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in chosen:
        waiting.put(case)
    workers = [threading.Thread(target=_work, args=(waiting, ended)) for _ in range(min(estates, len(chosen)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _work(waiting: "queue.SimpleQueue[Case]", ended: Ended) -> None:
    with _STARTING:
        estate = started()
    try:
        stage = cache(partial(stage_of, estate))
        while True:
            case = waiting.get_nowait()
            ended(_outcome(stage, case))
    except queue.Empty:
        return
    finally:
        estate.stop()


def stage_of(estate: Estate, procedure: str) -> Stage:
    """Where runs of a procedure are hit; what one leaves that nothing hits is seen once for all of them."""
    subjects = {one.procedure: one for one in (SPF_TRIM, SUBDOMAIN_SETUP)}
    return PartsStage(estate, subjects[procedure]) if procedure in subjects else Stage(estate)


def _outcome(stage: Callable[[str], Stage], case: Case) -> Outcome:
    try:
        return stage(case.procedure).play(case)
    except Exception as error:  # what cannot be judged counts as bad, and does not end the matrix
        return Outcome(case.kind, case.point.name, False, HALF, 0, False, False, repr(error))


def main() -> int:
    """0 if every case was played and ended well."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--estates", type=int, default=ESTATES, help="so many side by side")
    options.add_argument("--only", default="", help="passes whose name has this in it")
    options.add_argument("--every", type=int, default=1, help="every so many-th case of them")
    options.add_argument("--out", type=Path, help="outcomes, one JSON object a line; those in it are not played again")
    asked = options.parse_args()
    chosen = [case for case in cases() if asked.only in case.kind][:: asked.every]
    outcomes = played(asked.out) if asked.out else {}
    began = time.monotonic()

    def ended(outcome: Outcome) -> None:
        outcomes[outcome.kind, outcome.point] = outcome
        print(f"[{len(outcomes)}/{len(chosen)}] {outcome}", file=sys.stderr, flush=True)
        if asked.out:
            with asked.out.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")

    with tempfile.TemporaryDirectory() as var:
        os.environ["RUNBOOK_VAR"] = var
        play([case for case in chosen if (case.kind, case.point.name) not in outcomes], asked.estates, ended)
    of_cases = [outcomes[key] for case in chosen if (key := (case.kind, case.point.name)) in outcomes]
    print(table(of_cases))
    bad = [outcome for outcome in of_cases if outcome.bad]
    print(f"\n{len(of_cases)} of {len(chosen)} cases in {(time.monotonic() - began) / 60:.0f} min, {len(bad)} bad")
    print(*bad, sep="\n")
    return 1 if bad or len(of_cases) < len(chosen) else 0


def played(file: Path) -> dict[tuple[str, str], Outcome]:
    """The outcomes in a file, by kind and point; an hour's work need not begin anew."""
    lines = file.read_text().splitlines() if file.exists() else []
    return {(outcome.kind, outcome.point): outcome for outcome in (Outcome(**json.loads(line)) for line in lines)}


if __name__ == "__main__":
    sys.exit(main())
