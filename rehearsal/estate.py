"""The estate of the runbook as it was before the snowshoe cleanup of 2026-06-23, on this machine, in namespaces."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rehearsal import leftovers, network, process, rootfs, world
from rehearsal.errors import HostFailed, RehearsalError, RehearsalUnavailable
from rehearsal.hosts import Machine
from rehearsal.progress import Progress, silent
from rehearsal.running import RunningEstate
from rehearsal.state import Claim, write_facts

READY_SECONDS = 60.0
DISK_SIZE = "128m"
"""Of each host: much more than a rehearsal writes, little enough to be filled in a moment."""

TOOLS = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "setpriv": "util-linux",
    "ip": "iproute2",
}


class Estate(RunningEstate):
    """Start it with `with Estate() as estate:`. Its addresses exist only in its namespaces; everything ends with it.

    A keeper process watches this one and clears up if it is killed.
    """

    def __init__(self, say: Progress = silent) -> None:
        self._say = say
        self._world = world.load()
        self._claim: Claim | None = None
        self._rootfs = Path()
        self._machines: dict[str, Machine] = {}
        self._receivers: dict[str, subprocess.Popen[str]] = {}
        self._hub_process: subprocess.Popen[str] | None = None
        self._forwarders: list[subprocess.Popen[str]] = []
        self._keeper: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        if self._claim is not None:
            raise RehearsalError("the estate is started already: stop() it first")
        check_machine()
        self._rootfs = rootfs.ensure(self._say)
        self._claim = claim = Claim()
        self.state = claim.state
        try:
            self._keep(claim)
            self._start_hub(claim)
            self._make_keys()
            self._start_machines(claim)
            self._start_receivers(claim)
            self._wait_ready()
            write_facts(self.state, self._facts())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._claim is None:
            return
        for machine in self._machines.values():
            machine.kill()
        leftovers.kill_all(self._claim.cgroup)
        for popen in [*self._receivers.values(), *self._forwarders, self._hub_process]:
            if popen is not None:
                popen.communicate()
        self._claim.release()
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.communicate()
        self._claim = None
        self._machines.clear()
        self._receivers.clear()
        self._forwarders.clear()
        self._say("estate stopped")

    def reset(self, *names: str) -> None:
        """The named hosts, or the mta, as they were at the start, their cables whole; empty receivers.

        The keys stay the same. Who resets the DNS master resets its slaves too: they keep what has a higher serial.
        """
        self._owned()
        for name in self._receivers:
            self.receiver(name).clear()
        machines = [self._machines[name] for name in names or ("mta",)]
        for machine in machines:
            self._unplug(machine)
            self._wipe_disk(machine.spec.name)
        for machine in machines:
            self._boot(machine)

    def publish(self, port: int) -> None:
        """Make 127.0.0.1:`port` of the hub reachable as 127.0.0.1:`port` of the machine, until the estate ends."""
        group = self._owned().cgroup / f"publish-{port}"
        group.mkdir()
        script = [sys.executable, "-I", str(world.HERE / "forwarder.py"), str(self._hub()), str(port)]
        forwarder = process.spawn(group, script, subprocess.PIPE)
        self._forwarders.append(forwarder)
        if (said := first_line(forwarder)) != "listening":
            raise RehearsalError(f"cannot publish port {port}: {said}: free it, or choose another")

    def _restart(self, name: str) -> None:
        if name not in self._machines:
            raise RehearsalError(f"{name} cannot be restarted: it is no host but a receiver")
        self._unplug(self._machines[name])
        self._boot(self._machines[name])

    def _unplug(self, machine: Machine) -> None:
        machine.kill()
        self._network().unplug(machine.spec.name)

    def _boot(self, machine: Machine) -> None:
        machine.boot(self._hub(), self._rootfs, self._disk(machine.spec.name))
        self._network().plug(machine.spec.name, machine.init)
        machine.wait_ready(time.monotonic() + READY_SECONDS)
        write_facts(self.state, self._facts())
        self._say(f"{machine.spec.name} ready again")

    def _owned(self) -> Claim:
        if self._claim is None:
            raise RehearsalError("the estate is not started: call start() first")
        return self._claim

    def _disk(self, name: str) -> Path:
        """Where a host's own disk is mounted, in the hub's mount namespace only."""
        return self.state / "disks" / name

    def _wipe_disk(self, name: str) -> None:
        script = 'umount "$1"; mount -t tmpfs -o "mode=755,size=$2" rehearsal "$1"'
        enter = ["nsenter", f"--mount=/proc/{self._hub()}/ns/mnt", "--"]
        process.must([*enter, "/bin/sh", "-ec", script, "wipe", str(self._disk(name)), DISK_SIZE])

    def _keep(self, claim: Claim) -> None:
        script = [sys.executable, "-I", "-S", str(Path(leftovers.__file__))]
        self._keeper = subprocess.Popen(
            [*script, str(os.getpid()), str(claim.state), str(claim.cgroup)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a signal to our group must not reach it
            text=True,
        )
        if first_line(self._keeper) != "watching":
            raise HostFailed("the keeper of the estate did not start")

    def _start_hub(self, claim: Claim) -> None:
        disks = claim.state / "disks"
        for name in self._world.hosts:
            (disks / name).mkdir(parents=True)
        script = ["/bin/sh", str(world.HERE / "boot" / "hub.sh"), str(disks), DISK_SIZE, *self._world.prefixes]
        spaces = ["--net", "--mount", "--propagation", "private"]
        self._hub_process = process.spawn(claim.cgroup / "hub", ["unshare", *spaces, "--", *script], subprocess.PIPE)
        said = first_line(self._hub_process)
        if said != "ready":
            raise RehearsalUnavailable(f"cannot make the estate's network: {said}: run as root with CAP_SYS_ADMIN")

    def _make_keys(self) -> None:
        script = ["/bin/sh", str(world.HERE / "boot" / "keys.sh"), str(self._rootfs), str(self.state / "keys")]
        process.must(["unshare", "--mount", "--propagation", "private", "--", *script])
        lines = []
        for spec in self._world.hosts.values():
            if spec.ssh:
                kind, key = (self.state / "keys" / f"host-{spec.name}.pub").read_text().split()[:2]
                names = (name if spec.port == 22 else f"[{name}]:{spec.port}" for name in spec.ssh)
                lines.append(f"{','.join(names)} {kind} {key}\n")
        (self.state / "known_hosts").write_text("".join(lines))
        self._write_login()

    def _write_login(self) -> None:
        """Of the mailbox of DMARC reports, as the operator's .env has it."""
        password = (self.state / "keys" / "dmarc-password").read_text().strip()
        login = {"HOST": "207.174.124.15", "PORT": "993", "USER": "dmarc@performancewest.net", "PASS": password}
        file = self.state / "keys" / "dmarc.env"
        file.touch(0o600)
        file.write_text("".join(f"DMARC_IMAP_{name}={value}\n" for name, value in login.items()))

    def _start_machines(self, claim: Claim) -> None:
        for spec in self._world.hosts.values():
            folder = claim.state / "hosts" / spec.name
            folder.mkdir()
            machine = self._machines[spec.name] = Machine(spec, folder, claim.cgroup / spec.name)
            machine.lay_files()
            self._hand_out_keys(machine)
            machine.boot(self._hub(), self._rootfs, self._disk(spec.name))
            self._network().plug(spec.name, machine.init)

    def _hand_out_keys(self, machine: Machine) -> None:
        keys = self.state / "keys"
        if machine.spec.ssh:
            own = f"host-{machine.spec.name}"
            machine.add("etc/ssh/ssh_host_ed25519_key", (keys / own).read_text(), 0o600)
            machine.add("etc/ssh/ssh_host_ed25519_key.pub", (keys / f"{own}.pub").read_text())
            machine.add("root/.ssh/authorized_keys", (keys / "operator.pub").read_text(), 0o600)
        match machine.spec.name:
            case "mta":
                folder = "etc/opendkim/keys/send.performancewest.net"
                machine.add(f"{folder}/send.private", (keys / "send.private").read_text(), 0o600)
                machine.add(f"{folder}/send.txt", (keys / "send.txt").read_text(), 0o600)
                machine.add("etc/listmonk/token", (keys / "listmonk-token").read_text(), 0o600)
            case "co":
                password = (keys / "dmarc-password").read_text().strip()
                machine.add("etc/dovecot/users", f"dmarc@performancewest.net:{{PLAIN}}{password}\n", 0o600)
                machine.add("etc/dovecot/co.crt", (keys / "co.crt").read_text())
                machine.add("etc/dovecot/co.key", (keys / "co.key").read_text(), 0o600)
            case "cp":
                machine.add("usr/local/hestia/dkim-send.txt", (keys / "send.txt").read_text())
                for file in keys.glob("Kperformancewest.net.*"):
                    machine.add(f"var/cache/bind/{file.name}", file.read_text(), 0o600)
            case "resolver":
                (signing,) = keys.glob("Kperformancewest.net.*.key")
                machine.add("etc/unbound/performancewest.net.key", signing.read_text())

    def _start_receivers(self, claim: Claim) -> None:
        for spec in self._world.receivers.values():
            folder = claim.state / "mail" / spec.name
            folder.mkdir()
            script = [sys.executable, "-I", str(world.HERE / "receiver.py"), str(folder), spec.mx]
            with (folder / "console").open("w") as console:
                popen = process.spawn(claim.cgroup / spec.name, ["unshare", "--net", "--", *script], console)
            self._receivers[spec.name] = popen
            if not process.has_own_network(popen):
                raise HostFailed(f"receiver {spec.name} did not start: {(folder / 'console').read_text()}")
            self._network().plug(spec.name, popen.pid)
            network.give_addresses(popen.pid, spec.addresses)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        for name, popen in self._receivers.items():
            console = self.state / "mail" / name / "console"
            while "listening" not in console.read_text():
                if popen.poll() is not None or time.monotonic() > deadline:
                    raise HostFailed(f"receiver {name} does not listen: {console.read_text()[-2000:]}")
                time.sleep(0.01)
        for machine in reversed(self._machines.values()):  # the mta boots longest
            machine.wait_ready(deadline)
            self._say(f"{machine.spec.name} ready")

    def _facts(self) -> dict[str, Any]:
        """From memory: the written ones are for others, and lag behind while a host boots."""
        claim = self._owned()
        assert self._hub_process is not None
        pids = {name: machine.init for name, machine in self._machines.items()}
        pids |= {name: popen.pid for name, popen in self._receivers.items()}
        return {"hub": self._hub_process.pid, "pids": pids, "cgroup": str(claim.cgroup)}


def check_machine() -> None:
    """Say at once, and in one line, why this machine cannot run the estate."""
    if sys.platform != "linux":
        raise RehearsalUnavailable("the rehearsal estate needs Linux namespaces: run it on a Linux machine")
    if os.geteuid() != 0:
        raise RehearsalUnavailable("the rehearsal estate needs root: run it with sudo")
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            raise RehearsalUnavailable(f"{tool} is missing: install it: apt-get install {package}")


def first_line(popen: subprocess.Popen[str]) -> str:
    assert popen.stdout is not None
    with contextlib.suppress(OSError):
        return popen.stdout.readline().strip()
    return ""
