"""What a child does that is measured: mails of a folder, one after the other, and what that took.

Nothing but the standard library, for another program's virtual environment too.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

Work = Callable[..., int]
"""Mails, and what else stands in the command line -> records that were read; 0 if they were not counted."""


@dataclass(frozen=True)
class Taken:
    """What one child took."""

    records: int
    seconds: float
    """Of CPU, after the imports."""
    peak: int
    """Bytes."""


def nothing(mails: Iterator[bytes], *_: str) -> int:
    """The baseline: what the imports take."""
    return 0


def run(ways: Mapping[str, Work]) -> None:
    """`WAY FOLDER [WORDS...]` on the command line; JSON on standard output."""
    way, folder, *words = sys.argv[1:]
    began = time.process_time()
    records = ways[way](mails(Path(folder)), *words)
    print(json.dumps(asdict(Taken(records, time.process_time() - began, peak()))))


def mails(folder: Path) -> Iterator[bytes]:
    return (file.read_bytes() for file in sorted(folder.iterdir()))


def peak() -> int:
    """The most memory that this process ever had: ru_maxrss, but for what the parent had when it started this one."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
