"""What the rehearsal tests look at from outside: processes, networks, mounts, mail."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rehearsal
from rehearsal import Estate, Host

PROJECT = Path(rehearsal.__file__).parents[1]

# last numbers of the addresses of the mta
KEPT = {71, 72, 94, 107}
DORMANT = {*range(90, 94), *range(95, 107), 108, 109}

SEND = """
import smtplib, sys
port, sender, recipient = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
    server.sendmail(sender, [recipient], f"From: {sender}\\nTo: {recipient}\\nSubject: test\\n\\nhello\\n")
"""


def until(condition: Callable[[], Any], seconds: float = 10, every: float = 0.02) -> Any:
    """The first true answer, or the last false one; whoever asks by a command does not ask so often."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(every)
    return answer


def inject(mta: Host, port: int, recipient: str, sender: str = "noreply@send.performancewest.net") -> None:
    """Hand a message to Postfix as listmonk does: from the host itself."""
    done = mta.net_run([sys.executable, "-I", "-c", SEND, str(port), sender, recipient])
    assert done.returncode == 0, done.stderr


def addresses(mta: Host) -> list[dict[str, Any]]:
    links = json.loads(mta.run(["ip", "-j", "-4", "addr", "show", "dev", "eth0"]).stdout)
    return [address for link in links for address in link.get("addr_info", [])]


def processes_of(state: Path) -> list[int]:
    group = Path(json.loads((state / "estate.json").read_text())["cgroup"])
    # os.walk and the suppress: units of the systemd in there come and go meanwhile
    found: list[int] = []
    for folder, _, _ in os.walk(group):
        with contextlib.suppress(OSError):
            found += [int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split()]
    return found


def alive(pid: int) -> bool:
    """A zombie is not alive: it waits for the machine's pid 1 to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def network_of(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())


def networks() -> set[str]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(str(entry.readlink()))
        except OSError:
            continue
    return found


def machine_addresses() -> set[str]:
    done = subprocess.run(["ip", "-j", "addr"], capture_output=True, text=True, check=True)
    return {address["local"] for link in json.loads(done.stdout) for address in link.get("addr_info", [])}


class Footprint:
    """All that an estate has on the machine, so that a test can ask what is left of it."""

    def __init__(self, state: Path) -> None:
        facts = json.loads((state / "estate.json").read_text())
        self.state = state
        self.group = Path(facts["cgroup"])
        self.pids = processes_of(state)
        first = [facts["hub"], *facts["pids"].values()]
        self.networks = {network_of(pid) for pid in first}
        # The kernel gives a free number away again, at once if another test starts an estate: none of these is free.
        self._held = [os.open(f"/proc/{pid}/ns/net", os.O_RDONLY) for pid in first]
        assert len(self.pids) > 20
        assert len(self.networks) == 1 + len(facts["pids"])
        assert network_of(os.getpid()) not in self.networks

    def left(self) -> list[str]:
        mounts = Path("/proc/self/mountinfo").read_text()
        return [
            *(f"process {pid}" for pid in self.pids if alive(pid)),
            *(f"network {name}" for name in self.networks & networks()),
            *(f"folder {folder}" for folder in (self.state, self.group) if folder.exists()),
            *(["a mount"] if str(self.state) in mounts else []),
        ]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rehearsal", *arguments]


@contextmanager
def started(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A runner in a process of its own. A failing test must not wait for it."""
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as runner:
        try:
            yield runner
        finally:
            runner.kill()


def first_line(runner: subprocess.Popen[str]) -> str:
    assert runner.stdout is not None
    return runner.stdout.readline()


def python_in_hub(estate: Estate, code: str) -> subprocess.CompletedProcess[str]:
    return estate.hub_run([sys.executable, "-c", code], cwd=PROJECT)


def announced(line: str) -> Path:
    """The state folder a runner printed. Its estate must be among those that run."""
    state = Path(line.strip())
    assert state in rehearsal.running()
    return state
