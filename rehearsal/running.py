"""A running estate, as any process of this machine may use it. Starting and stopping are in estate.py."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rehearsal import process, state
from rehearsal.errors import RehearsalError
from rehearsal.hosts import Done, Host
from rehearsal.inbox import Receiver
from rehearsal.network import Network


class RunningEstate:
    """Attach to an estate by its state folder: `RunningEstate(Path(os.environ["RUNBOOK_REHEARSAL_STATE"]))`."""

    def __init__(self, folder: Path) -> None:
        self.state = folder

    def host(self, name: str) -> Host:
        self._pid(name)  # refuse an unknown name now, not at the first use
        return Host(name, lambda: self._pid(name), lambda: self._restart(name))

    def receiver(self, name: str) -> Receiver:
        return Receiver(self.state / "mail" / name)

    def hub_run(self, argv: Sequence[str], input: str | None = None, timeout: float = 30, **popen: Any) -> Done:
        """Run one of the machine's programs in the hub's network, wait for it; what it leaves ends with the estate."""
        return process.call(self._at_work(argv), input, timeout, **popen)

    def hub_popen(self, argv: Sequence[str], **popen: Any) -> subprocess.Popen[Any]:
        """Start one of the machine's programs in the hub's network. It, and all it forks, ends with the estate."""
        return subprocess.Popen(self._at_work(argv), **popen)

    def _at_work(self, argv: Sequence[str]) -> list[str]:
        work = self._cgroup() / "work"
        work.mkdir(exist_ok=True)
        return process.in_group(work, process.in_network(self._hub(), argv))

    def cut(self, host: str) -> None:
        """Cut the host's cable."""
        self._network().cut(host)

    def mend(self, host: str) -> None:
        self._network().mend(host)

    def delay(self, host: str, milliseconds: float) -> None:
        """Add this much to the round trip to and from the host, instead of what was done to its cable before."""
        self._network().lay_line(host, self._pid(host), milliseconds=milliseconds)

    def lose(self, host: str, percent: float) -> None:
        """Lose this share of all frames to and from the host, instead of what was done to its cable before."""
        self._network().lay_line(host, self._pid(host), percent=percent)

    def undelay(self, host: str) -> None:
        """A straight cable again: no delay, no loss."""
        self._network().straighten(host)

    def _facts(self) -> dict[str, Any]:
        return state.read_facts(self.state)

    def _hub(self) -> int:
        return int(self._facts()["hub"])

    def _pid(self, name: str) -> int:
        pids = self._facts()["pids"]
        if name not in pids:
            raise RehearsalError(f"no host named {name}: there are {', '.join(pids)}")
        return int(pids[name])

    def _cgroup(self) -> Path:
        return Path(self._facts()["cgroup"])

    def _network(self) -> Network:
        return Network(self._hub(), self._cgroup())

    def _restart(self, name: str) -> None:
        raise RehearsalError(
            f"only the process that started the estate can restart {name}",
            next_step="start one there: with Estate() as estate",
        )
