"""Publishes a port of an estate's hub on the machine: 127.0.0.1:PORT here leads to 127.0.0.1:PORT in the hub.

Usage: forwarder.py HUB-PID PORT. It listens in the machine's network, then moves into the hub's: the listening socket
stays where it was made, new connections are made where the process is. A script of its own, imports nothing of ours.
It ends with the process that started it, and with the estate.
"""

import asyncio
import ctypes
import os
import socket
import sys

LOOPBACK = "127.0.0.1"
CLONE_NEWNET = 0x40000000
CHUNK = 64 * 1024


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:  # one side went away: so does the other
        writer.close()


async def serve(listener: socket.socket, port: int, parent: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:  # nothing listens there (yet)
            writer.transport.abort()
            return
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        far_writer.close()
        writer.close()

    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(parent, gone.set)
    async with await asyncio.start_server(connected, sock=listener):
        print("listening", flush=True)
        await gone.wait()
    os._exit(0)  # connections in progress go down with us


def main(hub: int, port: int) -> None:
    parent = os.pidfd_open(os.getppid())
    try:
        listener = socket.create_server((LOOPBACK, port))
    except OSError as error:
        sys.exit(error.strerror)
    with open(f"/proc/{hub}/ns/net") as network:  # noqa: PTH123
        if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET) != 0:
            sys.exit(f"cannot enter the network of {hub}: {os.strerror(ctypes.get_errno())}")
    asyncio.run(serve(listener, port, parent))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
