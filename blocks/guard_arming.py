"""What a run leaves on the host before it changes anything: backups, undo data, and the timer that would use them.

Everything is in the directory of the run (guard_files/guard.sh says what), which appears whole or not at all.
"""

import io
import re
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from string import Template

from blocks.ssh_session import Reader, Writer
from deliverability.network.addresses import LiveAddress, parse_addresses
from deliverability.plan import Plan

BASE = "/var/lib/deliverability-runbook"
UNITS = "/etc/systemd/system"
TIMER_STAMPS = "/var/lib/systemd/timers"
FRESH = re.compile(r"\.(?P<run>[0-9][0-9A-Za-z-]*)\.new", re.ASCII)
CURRENT = f"{BASE}/current"
"""A link to the directory of the run that was here last: one guard at most is ever armed."""
RESERVE_KILOBYTES = 256


@dataclass(frozen=True)
class Armed:
    """A guard on a host: its run, the directory with its evidence, and when it fires (UTC).

    `deadline` is by the host's clock, which is the one that fires it; `expires` is the same moment by ours.
    """

    run: str
    directory: str
    deadline: datetime
    expires: datetime
    backups: tuple[tuple[str, str], ...]


def backup_names(directory: str, paths: Sequence[str], procedure: str, run: str) -> list[str]:
    """`/root/master.cf.bak_snowshoe_RUN`: a name of its own for every run, so that no backup is ever overwritten.

    Of two files with the same name, each has the folders that tell them apart in it.
    """
    last = [path.rpartition("/")[2] for path in paths]
    names = [
        path.strip("/").replace("/", "_") if last.count(name) > 1 else name
        for path, name in zip(paths, last, strict=True)
    ]
    return [f"{directory}/{name}.bak_{procedure.partition('-')[0]}_{run}" for name in names]


def unfinished(run: str) -> str:
    """Where the data of a run is put together. It is made before all else, so that it names whatever else is left."""
    return f"{BASE}/.{run}.new"


def sweep(host: Writer, backup_directory: str) -> None:
    """Take away what runs left that ended before their guard was there: they had changed nothing yet."""
    host.run("mkdir", "-p", "-m", "700", BASE)
    for name in host.run("ls", "-1A", "--", BASE).stdout.splitlines():
        if found := FRESH.fullmatch(name):
            host.run("find", backup_directory, "-maxdepth", "1", "-name", f"*.bak_*_{found['run']}", "-delete")
            host.run("rm", "-r", "--", f"{BASE}/{name}")


def back_up(host: Writer, armed: Armed) -> None:
    for backup, path in armed.backups:
        _copy(host, path, backup)


def lay_beside(host: Writer, armed: Armed) -> None:
    """The copies that an undo moves into place: on a disk that is full by then, nothing can be copied."""
    for _, path in armed.backups:
        real = host.run("readlink", "-f", "--", path).stdout.strip()
        folder, _, name = real.rpartition("/")
        _copy(host, real, f"{folder}/.{name}.guard-{armed.run}")


def _copy(host: Writer, path: str, copy: str) -> None:
    # --no-clobber is silent about a name that is taken; the comparison is not.
    host.run("cp", "-p", "--no-clobber", "--", path, copy)
    host.run("cmp", "--", path, copy)
    host.run("sync", "--", copy)


def write_data(host: Writer, armed: Armed, plan: Plan) -> None:
    deadline = armed.deadline.strftime("%Y-%m-%d %H:%M:%S UTC")
    seconds = max(1, round((armed.expires - datetime.now(UTC)).total_seconds()))
    values = {"run": armed.run, "directory": armed.directory, "deadline": deadline, "seconds": str(seconds)}
    routes = host.run("ip", "-o", "-4", "route", "show").stdout
    texts = {
        "README": _template("README", values),
        "run": armed.run + "\n",
        "state": "new\n",
        "deadline": deadline + "\n",
        "plan.json": plan.model_dump_json(indent=2) + "\n",
        "files": "".join(f"{backup}\t{path}\n" for backup, path in armed.backups),
        "hashes": host.run("sha256sum", "--", *(path for pair in armed.backups for path in pair)).stdout,
        "addresses": _address_lines(live_addresses(host)),
        "added": "".join(f"{new.address}/{new.prefix}\t{new.interface}\n" for new in plan.added_addresses()),
        "routes": route_lines(routes),
        "services": "".join(f"{service}\n" for service in plan.reloaded() if service != "postfix"),
        "guard.sh": files("blocks").joinpath("guard_files/guard.sh").read_text(),
    }
    fresh = unfinished(armed.run)
    host.run("tar", "--extract", "--no-same-owner", "--directory", fresh, stdin=_archive(texts))
    host.run("dd", "if=/dev/zero", f"of={fresh}/reserve", "bs=1K", f"count={RESERVE_KILOBYTES}", "conv=fsync")
    host.run("sync", "--file-system", fresh)
    # It is there with all it needs, or it is not there.
    host.run("mv", "--no-target-directory", fresh, armed.directory)
    host.run("ln", "--symbolic", "--force", "--no-dereference", armed.run, f"{CURRENT}.new")
    host.run("mv", "--no-target-directory", f"{CURRENT}.new", CURRENT)
    unit = f"{UNITS}/deliverability-guard-{armed.run}"
    host.write_text(f"{unit}.service", _template("guard.service", values), mode=0o644)
    host.write_text(f"{unit}.timer", _template("guard.timer", values), mode=0o644)


def _archive(texts: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in texts.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(text.encode()), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def start_timer(host: Writer, armed: Armed) -> None:
    timer = f"deliverability-guard-{armed.run}.timer"
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "enable", "--now", "--quiet", timer)
    host.run("sync", "--file-system", UNITS, TIMER_STAMPS)
    host.run("sh", f"{armed.directory}/guard.sh", "arm")


def live_addresses(host: Reader) -> tuple[LiveAddress, ...]:
    """The host's IPv4 addresses, in the order the kernel has them."""
    return parse_addresses(host.run("ip", "-j", "addr", "show").stdout)


def route_lines(shown: str) -> str:
    """`ip -o -4 route show` as `ip route replace` takes it: next hops in one line, nothing of a cable that is out.

    The same is in guard.sh, which compares with it.
    """
    words = [line.replace("\\", " ").split() for line in shown.splitlines()]
    return "".join(f"{' '.join(word for word in line if word not in ('linkdown', 'dead'))}\n" for line in words)


def _address_lines(addresses: Sequence[LiveAddress]) -> str:
    return "".join(
        f"{live.address}/{live.prefix}\t{live.interface}\t{live.label}\t{live.broadcast or ''}\n"
        for live in addresses
        if live.scope == "global" and "." in live.address
    )


def _template(name: str, values: dict[str, str]) -> str:
    return Template(files("blocks").joinpath(f"guard_files/{name}").read_text()).substitute(values)
