"""The faults that a host can be given in a rehearsal, each with its mend: `with find("cut").on(estate, "mta"): ...`.

Each may be injected twice, and mended twice or without need. A reboot mends all but a full disk. Those of the services
are for a host with systemd: the mta.
"""

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rehearsal.errors import HostFailed, RehearsalError
from rehearsal.running import RunningEstate

Action = Callable[[RunningEstate, str], None]

LOSS_PERCENT = 20
DELAY_MILLISECONDS = 300
SCRIPT = Path(__file__).parent / "boot" / "faults.sh"
SCRIPT_SECONDS = 60


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with a host: `inject(estate, host)` does it, `mend(estate, host)` takes it back."""

    name: str
    summary: str
    inject: Action
    mend: Action

    @contextmanager
    def on(self, estate: RunningEstate, host: str) -> Iterator[None]:
        """A host with the fault, mended afterwards whatever happens."""
        try:
            self.inject(estate, host)
            yield
        finally:
            self.mend(estate, host)


def find(name: str) -> Fault:
    """The fault of this name. Raises RehearsalError, which names the nearest ones there are."""
    if fault := FAULTS.get(name):
        return fault
    near = difflib.get_close_matches(name, FAULTS, cutoff=0.4) or FAULTS
    raise RehearsalError(
        f"there is no fault {name!r}; near it: {', '.join(near)}", next_step="runbook rehearse --fault help"
    )


def _scripted(name: str, summary: str) -> Fault:
    """A fault inside the host, done by faults.sh."""

    def action(verb: str) -> Action:
        return lambda estate, host: _run_script(estate, host, verb, name)

    return Fault(name, summary, action("inject"), action("mend"))


def _run_script(estate: RunningEstate, host: str, verb: str, name: str) -> None:
    argv = ["/bin/sh", "-c", SCRIPT.read_text(), SCRIPT.name, verb, name]
    done = estate.host(host).run(argv, timeout=SCRIPT_SECONDS)
    if done.returncode != 0:
        raise HostFailed(f"{verb} {name} failed on {host}: {done.stderr.strip()}")


def _restart(estate: RunningEstate, host: str) -> None:
    estate.host(host).restart()


def nothing(_estate: RunningEstate, _host: str) -> None:
    """The mend of what is over by itself."""


_KNOWN = (
    Fault("cut", "the cable is cut", lambda estate, host: estate.cut(host), lambda estate, host: estate.mend(host)),
    Fault(
        "loss",
        f"{LOSS_PERCENT} % of the packets are lost, both ways",
        lambda estate, host: estate.lose(host, LOSS_PERCENT),
        lambda estate, host: estate.undelay(host),
    ),
    Fault(
        "delay",
        f"a round trip takes {DELAY_MILLISECONDS} ms more",
        lambda estate, host: estate.delay(host, DELAY_MILLISECONDS),
        lambda estate, host: estate.undelay(host),
    ),
    _scripted("sshd-killed", "every sshd is killed, sessions too; systemd starts it again"),
    _scripted("sshd-gone", "every sshd is killed, sessions too, and none comes back"),
    Fault("reboot", "the power cord is pulled, and the host boots again", _restart, nothing),
    _scripted("disk-full", "the disk is full to the last byte"),
    _scripted("read-only", "/etc cannot be written, nor can the guard's records"),
    _scripted("reload-fails", "`postfix reload` fails, all else of Postfix works"),
    _scripted("host-key", "sshd has a new host key"),
    _scripted("cron-stopped", "cron is stopped"),
    _scripted("timers-stopped", "no systemd timer runs, and none can be started"),
)
FAULTS: dict[str, Fault] = {fault.name: fault for fault in _KNOWN}
