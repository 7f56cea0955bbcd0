"""Where a run can be hit: every point is something that shows on the host, seen from outside without asking the run.

The run under test is the program as it is installed; nothing in it knows of these points.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from estates import FILES, GUARDS
from rehearsal.hosts import Host

CHANGES = 23
"""Of the snowshoe cleanup; the journal has a line before and after each."""

LINES = 2 * CHANGES
VERIFYING, APART = 10, 0.2
"""So many points of the verification, so many seconds apart: it writes nothing that one could go by."""

UNITS = "etc/systemd/system"
UNIT = f"{UNITS}/deliverability-guard-*"
FRESH, NAMED = f"{GUARDS[1:]}/.[0-9]*.new", f"{GUARDS[1:]}/[0-9]*/guard.sh"


class Traces:
    """What the one run of a rehearsal has left on the host so far, read through the root of the host's pid 1."""

    def __init__(self, host: Host, master: Host) -> None:
        self._host = host
        self._root = self._find_root()
        self._firsts: dict[str, float] = {}
        self.master = Path(f"/proc/{master.pid}/root")
        """The root of the DNS master."""

    def exists(self, pattern: str) -> bool:
        return self.count(pattern) > 0

    def count(self, pattern: str) -> int:
        with contextlib.suppress(OSError):  # the file has gone
            return len(list(self._root.glob(pattern)))
        return 0

    def text(self, name: str) -> str:
        """A file of the guard; "" if there is none."""
        if not self._root.exists():  # the host was restarted, and has another pid 1
            self._root = self._find_root()
        with contextlib.suppress(OSError):
            for file in self._root.glob(f"{GUARDS[1:]}/[0-9]*/{name}"):
                return file.read_text()
        return ""

    @property
    def state(self) -> str:
        """Of the guard: "" before there is one."""
        return self.text("state").partition(" ")[0].strip()

    def lines(self) -> int:
        return self.text("journal").count("\n")

    def copies(self) -> int:
        """Those that wait beside the files."""
        return sum(self.count(beside(path)) for path in FILES)

    def verified_for(self) -> float:
        """Seconds since the last change was made; 0 before."""
        return self.since("verifying", lambda: self.lines() >= LINES)

    def since(self, what: str, has_begun: Callable[[], bool]) -> float:
        """Seconds since something was first seen to have begun; 0 before."""
        if what not in self._firsts:
            if not has_begun():
                return 0
            self._firsts[what] = time.monotonic()
        return time.monotonic() - self._firsts[what]

    def _find_root(self) -> Path:
        return Path(f"/proc/{self._host.pid}/root")


def beside(path: str) -> str:
    """The pattern of the copies that a guard keeps beside a file."""
    folder, _, name = path.rpartition("/")
    return f"{folder[1:]}/.{name}.guard-*"


@dataclass(frozen=True)
class Point:
    """A moment in a run; its name says which."""

    name: str
    reached: Callable[[Traces], bool]


def points() -> list[Point]:
    """All of them, in the order in which a run meets them."""
    return [*_arming(), *_changing(), *_verifying(), *_disarming()]


def _arming() -> Iterator[Point]:
    yield _made("its data begun", FRESH)
    yield from (_made(f"backup {number}", "root/*.bak_*", number) for number in range(1, len(FILES) + 1))
    yield _made("its data there", f"{FRESH}/guard.sh")
    yield _made("its space reserved", f"{FRESH}/reserve")
    yield Point("arming: its directory named", lambda seen: seen.exists(NAMED))
    yield Point("arming: the current run", lambda seen: seen.exists(f"{GUARDS[1:]}/current"))
    for number in range(1, len(FILES) + 1):
        yield Point(f"arming: copy {number}", lambda seen, number=number: seen.copies() >= number)
    for what, pattern in {
        "its service": f"{UNIT}.service",
        "its timer": f"{UNIT}.timer",
        "its timer enabled": f"{UNITS}/timers.target.wants/deliverability-guard-*",
    }.items():
        yield Point(f"arming: {what}", lambda seen, pattern=pattern: seen.exists(pattern))
    yield Point("armed", lambda seen: seen.state == "armed")


def _made(what: str, pattern: str, count: int = 1) -> Point:
    """Before the directory of the run has its name."""
    return Point(f"arming: {what}", lambda seen: seen.count(pattern) >= count or seen.exists(NAMED))


def _changing() -> Iterator[Point]:
    for line in range(1, LINES + 1):
        name = f"{'before' if line % 2 else 'after'} change {(line + 1) // 2}"
        yield Point(name, lambda seen, line=line: seen.lines() >= line)


def _verifying() -> Iterator[Point]:
    for number in range(1, VERIFYING + 1):
        yield Point(
            f"verifying: {number * APART:.1f} s", lambda seen, after=number * APART: seen.verified_for() >= after
        )


def _disarming() -> Iterator[Point]:
    def confirmed(seen: Traces) -> bool:
        return seen.state == "disarmed"

    def gone(pattern: str) -> Callable[[Traces], bool]:
        return lambda seen: confirmed(seen) and not seen.exists(pattern)

    yield Point("disarming: confirmed", confirmed)
    yield Point("disarming: timer stopped", gone(f"{UNITS}/timers.target.wants/deliverability-guard-*"))
    yield Point("disarming: timer gone", gone(f"{UNIT}.timer"))
    yield Point("disarming: service gone", gone(f"{UNIT}.service"))
    yield Point("disarming: copies gone", gone(beside(FILES[0])))
    yield Point("disarming: space given back", gone(f"{GUARDS[1:]}/[0-9]*/reserve"))
