"""The two guards of the public addresses: the way into a running estate, and the proof that there is no way out."""

import array
import ctypes
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path

from rehearsal import state as states
from rehearsal.errors import NotIsolated, RehearsalError

CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO = 0x3
BRIDGE = "rehearsal0"
PORT_PREFIXES = ("p-", "d-", "e-")  # cables of hosts, and the two ends of a delay line
WIDEST_ROUTE = 8  # no prefix of the estate is wider; a split default route (two /1) is


def enter(state: Path) -> None:
    """Move this process into the hub network of the estate that runs in `state`.

    Only the calling thread and threads it starts later move, so it must be the main thread, and the only one: a thread
    left behind would send to the real addresses.
    """
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others or threading.current_thread() is not threading.main_thread():
        raise RehearsalError(f"enter the estate from the main thread, before others start (found: {others})")
    join_network(states.read_facts(state)["hub"])
    assert_isolated()


def join_network(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise RehearsalError(f"cannot enter the estate's network: {os.strerror(ctypes.get_errno())}: be root")
    finally:
        os.close(descriptor)


def assert_isolated() -> None:
    """Raise NotIsolated unless this thread's network is an estate's hub: its bridge, its ports, no route out."""
    drivers = {name: driver(name) for _, name in socket.if_nameindex() if name != "lo"}
    if drivers.get(BRIDGE) != "bridge":
        raise NotIsolated(f"this network has no {BRIDGE} bridge: run this inside the estate: python -m rehearsal exec")
    strangers = sorted(name for name, kind in drivers.items() if not belongs(name, kind))
    if strangers:
        raise NotIsolated(f"this network has interfaces that are not the estate's: {', '.join(strangers)}")
    wide = [*wide_routes_4(), *wide_routes_6()]
    if wide:
        raise NotIsolated(f"this network has a route to everywhere: {', '.join(wide)}")


def belongs(name: str, kind: str) -> bool:
    return name == BRIDGE or (kind == "veth" and name.startswith(PORT_PREFIXES))


def driver(interface: str) -> str:
    """The kernel driver behind an interface. /sys is of no use: it shows the network it was mounted in."""
    answer = array.array("B", struct.pack("I", ETHTOOL_GDRVINFO) + bytes(192))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sP16x", interface.encode(), answer.buffer_info()[0])
        try:
            fcntl.ioctl(probe, SIOCETHTOOL, request)
        except OSError:
            return "unknown"
    return answer.tobytes()[4:36].split(b"\0")[0].decode("ascii", "replace")


def wide_routes_4() -> list[str]:
    rows = Path("/proc/thread-self/net/route").read_text().splitlines()[1:]
    fields = [row.split() for row in rows]
    lengths = [(int(row[7], 16).bit_count(), row[0]) for row in fields]
    return [f"/{length} dev {interface}" for length, interface in lengths if length < WIDEST_ROUTE]


def wide_routes_6() -> list[str]:
    path = Path("/proc/thread-self/net/ipv6_route")
    if not path.exists():
        return []
    fields = [row.split() for row in path.read_text().splitlines()]
    # the kernel's own "unreachable default" entry sits on lo
    return [
        f"/{int(row[1], 16)} dev {row[9]} (IPv6)" for row in fields if int(row[1], 16) < WIDEST_ROUTE and row[9] != "lo"
    ]
