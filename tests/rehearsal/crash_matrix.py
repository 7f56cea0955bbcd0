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
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from crash_case import HALF, NEW, OLD, Case, Outcome, Stage
from crash_passes import cases

from estates import started

ESTATES = 4
"""A case is waiting most of the time: so many side by side keep two cores busy."""

_STARTING = threading.Lock()
"""One after the other: the start of a Prefect server is what takes most of the machine."""

HEADER = ("what happened", "points", "ended old", "ended new", "half-changed", "hung", "mail stopped", "longest, s")


def table(outcomes: Iterable[Outcome]) -> str:
    """In Markdown, a row a pass."""
    passes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        passes.setdefault(outcome.kind, []).append(outcome)
    rows = [HEADER, ("---", *["---:"] * (len(HEADER) - 1)), *(_row(kind, ended) for kind, ended in passes.items())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(kind: str, ended: Sequence[Outcome]) -> tuple[str, ...]:
    old, new = (sum(one.end == state for one in ended) for state in (OLD, NEW))
    hung, stopped = sum(one.hung for one in ended), sum(not one.mail for one in ended)
    counts = (len(ended), old, new, len(ended) - old - new, hung, stopped)
    return kind, *map(str, counts), f"{max(one.seconds for one in ended):.0f}"


def play(chosen: Sequence[Case], estates: int) -> list[Outcome]:
    """Play cases on so many estates side by side; their outcomes, in the order of the cases."""
    waiting: queue.SimpleQueue[tuple[int, Case]] = queue.SimpleQueue()
    for entry in enumerate(chosen):
        waiting.put(entry)
    outcomes: dict[int, Outcome] = {}
    workers = [
        threading.Thread(target=_work, args=(waiting, outcomes, len(chosen)), name=f"estate {number}")
        for number in range(min(estates, len(chosen)))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [outcomes[number] for number in sorted(outcomes)]


def _work(waiting: "queue.SimpleQueue[tuple[int, Case]]", outcomes: dict[int, Outcome], total: int) -> None:
    with _STARTING:
        estate = started()
    try:
        stage = Stage(estate)
        while True:
            number, case = waiting.get_nowait()
            outcomes[number] = _outcome(stage, case)
            print(f"[{len(outcomes)}/{total}] {outcomes[number]}", file=sys.stderr, flush=True)
    except queue.Empty:
        return
    finally:
        estate.stop()


def _outcome(stage: Stage, case: Case) -> Outcome:
    try:
        return stage.play(case)
    except Exception as error:  # what cannot be judged counts as bad, and does not end the matrix
        return Outcome(case.kind, case.point.name, False, HALF, 0, False, False, repr(error))


def main() -> int:
    """0 if every case was played and ended well."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--estates", type=int, default=ESTATES, help="so many side by side")
    options.add_argument("--only", default="", help="passes whose name has this in it")
    options.add_argument("--every", type=int, default=1, help="every so many-th case of them")
    options.add_argument("--out", type=Path, help="a file for the outcomes, one JSON object a line")
    asked = options.parse_args()
    chosen = [case for case in cases() if asked.only in case.kind][:: asked.every]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as var:
        os.environ["RUNBOOK_VAR"] = var
        outcomes = play(chosen, asked.estates)
    if asked.out:
        asked.out.write_text("".join(json.dumps(asdict(outcome)) + "\n" for outcome in outcomes))
    print(table(outcomes))
    bad = [outcome for outcome in outcomes if outcome.bad]
    print(f"\n{len(outcomes)} of {len(chosen)} cases in {(time.monotonic() - began) / 60:.0f} min, {len(bad)} bad")
    print(*bad, sep="\n")
    return 1 if bad or len(outcomes) < len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
