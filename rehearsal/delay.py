"""A delay line: copies Ethernet frames between two interfaces, each frame some milliseconds late, or not at all.

Usage: delay.py INTERFACE INTERFACE MILLISECONDS PERCENT, in the hub's network, and before that, in the network of each
end, delay.py --no-offload INTERFACE. PERCENT of the frames are lost. A script of its own: it imports nothing of ours.
"""

import array
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
ETH_P_ALL = 3
SIOCETHTOOL = 0x8946
# Checksum and segmentation offload: with them on, frames reach us unfinished.
OFFLOADS = (0x17, 0x1F, 0x24)
SEED = 1  # the same frames are lost in every rehearsal, counted from the first


def tap(interface: str) -> socket.socket:
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    frames.bind((interface, 0))
    frames.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    frames.setblocking(False)
    return frames


def no_offload(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in OFFLOADS:
            value = array.array("B", struct.pack("II", command, 0))
            request = struct.pack("16sP16x", interface.encode(), value.buffer_info()[0])
            fcntl.ioctl(control, SIOCETHTOOL, request)


def forward(left: socket.socket, right: socket.socket, seconds: float, loss: float) -> None:
    chance = random.Random(SEED)  # noqa: S311
    queue: list[tuple[float, int, socket.socket, bytes]] = []
    count = 0
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        for source in select.select([left, right], [], [], wait)[0]:
            for frame in pending(source):
                if chance.random() < loss:
                    continue
                count += 1  # keeps the order of frames that are due at the same time
                target = right if source is left else left
                heapq.heappush(queue, (time.monotonic() + seconds, count, target, frame))
        while queue and queue[0][0] <= time.monotonic():
            _, _, target, frame = heapq.heappop(queue)
            send(target, frame)


def pending(source: socket.socket) -> list[bytes]:
    frames: list[bytes] = []
    while True:
        try:
            frames.append(source.recv(65535))
        except BlockingIOError:
            return frames
        except OSError:  # the cable is cut
            return frames


def send(target: socket.socket, frame: bytes) -> None:
    try:
        target.send(frame)
    except OSError:  # the cable is cut: frames sent into it are lost
        return


def main(arguments: Sequence[str]) -> None:
    if arguments[0] == "--no-offload":
        no_offload(arguments[1])
        return
    left, right, milliseconds, percent = arguments
    ends = tap(left), tap(right)
    if os.fork() == 0:  # whoever called us waits until the line is up, and no longer
        forward(*ends, float(milliseconds) / 1000, float(percent) / 100)


if __name__ == "__main__":
    main(sys.argv[1:])
