"""The hub's bridge and cables, seen from the hub."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from rehearsal import leftovers, process
from rehearsal.errors import HostFailed
from rehearsal.isolation import BRIDGE

HERE = Path(__file__).parent


class Network:
    def __init__(self, hub: int, cgroup: Path) -> None:
        self._hub = hub
        self._cgroup = cgroup

    def plug(self, name: str, pid: int) -> None:
        """A cable from the bridge to `eth0` of the namespace of `pid`."""
        card = f"address {hardware_address(name)} netns {pid}"
        self._ip(
            [
                f"link add p-{name} type veth peer name eth0 {card}",
                # A port has no use for an IPv6 address, and one that comes late makes a browser drop its requests.
                f"link set p-{name} addrgenmode none",
                f"link set p-{name} master {BRIDGE} up",
            ]
        )

    def unplug(self, name: str) -> None:
        self._end_line(name)
        # it may be gone already, with the network at its other end
        process.call(process.in_network(self._hub, ["ip", "link", "del", f"p-{name}"]))

    def cut(self, name: str) -> None:
        self._ip([f"link set p-{name} down"])

    def mend(self, name: str) -> None:
        self._ip([f"link set p-{name} up"])

    def lay_line(self, name: str, pid: int, milliseconds: float = 0, percent: float = 0) -> None:
        """Put a line that delays or loses frames into the cable, instead of one that is there.

        The kernel may lack netem, so a small program forwards the frames.
        """
        self.straighten(name)
        self._ip(
            [
                f"link set p-{name} nomaster promisc on",
                f"link add d-{name} type veth peer name e-{name}",
                f"link set d-{name} master {BRIDGE} up",
                f"link set e-{name} up promisc on",
            ]
        )
        script = [sys.executable, "-I", str(HERE / "delay.py")]
        process.must(process.in_network(pid, [*script, "--no-offload", "eth0"]))
        process.must(process.in_network(self._hub, [*script, "--no-offload", f"d-{name}"]))
        line = [*script, f"p-{name}", f"e-{name}", str(milliseconds / 2), str(percent)]
        self._line(name).mkdir()
        # returns when the line is up; what forwards then is nobody's child here, but the machine's init's
        start = process.in_group(self._line(name), process.in_network(self._hub, line))
        if process.call(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            raise HostFailed(f"the line in the cable of {name} did not start")

    def straighten(self, name: str) -> None:
        if self._end_line(name):
            self._ip([f"link set p-{name} promisc off master {BRIDGE}"])

    def _end_line(self, name: str) -> bool:
        """Whether there was one."""
        if not self._line(name).is_dir():
            return False
        leftovers.kill_all(self._line(name))
        leftovers.remove_groups(self._line(name))
        self._ip([f"link del d-{name}"])
        return True

    def _line(self, name: str) -> Path:
        return self._cgroup / f"delay-{name}"

    def _ip(self, commands: Iterable[str]) -> None:
        process.must(process.in_network(self._hub, ["ip", "-batch", "-"]), "\n".join(commands))


def hardware_address(name: str) -> str:
    """The same after every boot, or its neighbours would send to the card that was there before for half a minute."""
    return "02:" + hashlib.sha256(name.encode()).digest()[:5].hex(":")


def give_addresses(pid: int, addresses: Iterable[str]) -> None:
    """Configure `eth0` of a namespace that has no init of its own to do it."""
    lines = ["link set lo up", "link set eth0 up"]
    lines += [f"addr add {address}/32 dev eth0" for address in addresses]
    process.must(process.in_network(pid, ["ip", "-batch", "-"]), "\n".join([*lines, "route add default dev eth0"]))
