"""A mail receiver for the rehearsal: takes mail on port 25, keeps it in a Maildir, and refuses it when told to.

Usage: receiver.py FOLDER MX-NAME. A script of its own; it runs with the machine's Python in the receiver's network.

FOLDER is a Maildir. FOLDER/log.jsonl gets one line a transaction. FOLDER/replies.json, read at each session, may name
the reply of a stage: connect, helo, mail, rcpt, data (the command) or end (after the message).
"""

import asyncio
import itertools
import json
import mailbox
import re
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

PORT = 25
STAGES = ("connect", "helo", "mail", "rcpt", "data", "end")
MAX_COMMAND = 2048
MAX_LINE = 64 * 1024
MAX_MESSAGE = 10 * 1024 * 1024
MAX_RECIPIENTS = 100
MAX_ERRORS = 20
MAX_SESSIONS = 200
IDLE_SECONDS = 60.0
REPLY = re.compile(r"[2-5]\d\d[ -][\x20-\x7e]*(\n[2-5]\d\d[ -][\x20-\x7e]*)*")
PATH = re.compile(r"(FROM|TO):\s*<([^<>\s]*)>(?:\s.*)?", re.IGNORECASE)


class Hangup(Exception):
    """The session ends here."""


class Store:
    """What was received: the Maildir and the log."""

    def __init__(self, folder: Path, mx: str) -> None:
        self.folder = folder
        self.mx = mx
        for part in ("cur", "new", "tmp"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._box = mailbox.Maildir(folder, create=False)
        self._count = itertools.count(1)

    def replies(self) -> dict[str, str]:
        try:
            told = json.loads((self.folder / "replies.json").read_text())
            items = told.items()
        except (OSError, ValueError, AttributeError):
            return {}
        return {stage: text for stage, text in items if stage in STAGES and usable(text)}

    def keep(self, transaction: dict[str, Any], body: bytes) -> str:
        queue_id = f"{int(time.time() * 1000):X}{next(self._count):04X}"
        top = (
            f"Return-Path: <{transaction['mail_from']}>\n"
            f"Received: from {transaction['helo']} (unknown [{transaction['peer']}])\n"
            f"\tby {self.mx} with ESMTP id {queue_id};\n"
            f"\t{formatdate()}\n"
        )
        # a Maildir has the line ends of the system
        key = self._box.add(top.encode() + body.replace(b"\r\n", b"\n"))
        return f"new/{key}"

    def log(self, transaction: dict[str, Any]) -> None:
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps(transaction) + "\n")


def usable(text: object) -> bool:
    return isinstance(text, str) and REPLY.fullmatch(text) is not None


def refuses(reply: str) -> bool:
    return reply[0] in "45"


class Session:
    """One connection. `_open` is the transaction in progress; every transaction ends in exactly one log line."""

    def __init__(self, store: Store, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._store = store
        self._reader = reader
        self._writer = writer
        self._replies = store.replies()
        self._peer = str(writer.get_extra_info("peername")[0])
        self._helo = ""
        self._errors = 0
        self._open: dict[str, Any] | None = None

    async def run(self) -> None:
        try:
            greeting = self._told("connect", f"220 {self._store.mx} ESMTP")
            if refuses(greeting):
                self._begin("", greeting)
            await self._say(greeting)
            if refuses(greeting):
                return
            while True:
                await self._command(await self._line(MAX_COMMAND))
        finally:
            self._end()

    def _told(self, stage: str, default: str) -> str:
        return self._replies.get(stage, default)

    async def _say(self, reply: str) -> None:
        self._writer.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        await self._writer.drain()
        if refuses(reply):
            self._errors += 1
        if reply.startswith("421") or self._errors > MAX_ERRORS:
            raise Hangup

    async def _line(self, limit: int) -> bytes:
        """One line with its CRLF. Only CRLF ends a line; a bare LF would let a sender smuggle in a second message."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                line = await self._reader.readuntil(b"\r\n")
        except (TimeoutError, asyncio.LimitOverrunError):
            await self._say("421 4.4.2 Idle too long, or line too long")
            raise Hangup from None
        if len(line) > limit:
            await self._say("421 5.5.2 Line too long")
        return line

    async def _command(self, line: bytes) -> None:
        text = line[:-2].decode("utf-8", "replace")
        if not text.isprintable() or "\ufffd" in text:
            await self._say("500 5.5.2 Syntax error")
            return
        verb, _, rest = text.partition(" ")
        handlers = {
            "EHLO": self._hello,
            "HELO": self._hello,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._reset,
            "NOOP": self._noop,
            "QUIT": self._quit,
        }
        handler = handlers.get(verb.upper())
        if handler is None:
            await self._say("500 5.5.1 Command not recognised")
            return
        await handler(verb.upper(), rest.strip())

    async def _hello(self, verb: str, name: str) -> None:
        if not re.fullmatch(r"[\w.:\[\]-]{1,255}", name, re.ASCII):
            await self._say("501 5.5.4 Give your name")
            return
        self._end()
        self._helo = name
        extensions = ["PIPELINING", f"SIZE {MAX_MESSAGE}", "8BITMIME"] if verb == "EHLO" else []
        *lines, last = [f"{self._store.mx} greets {name}", *extensions]
        reply = self._told("helo", "\n".join([*(f"250-{line}" for line in lines), f"250 {last}"]))
        if refuses(reply):
            self._begin("", reply)
        await self._say(reply)

    async def _mail(self, _verb: str, rest: str) -> None:
        address = PATH.fullmatch(rest)
        if address is None or address[1].upper() != "FROM":
            await self._say("501 5.5.4 Syntax: MAIL FROM:<address>")
            return
        if not self._helo or (self._open is not None and self._open["accepting"]):
            await self._say("503 5.5.1 Bad sequence of commands")
            return
        self._end()
        reply = self._told("mail", "250 2.1.0 Sender OK")
        self._begin(address[2], reply)
        await self._say(reply)

    async def _rcpt(self, _verb: str, rest: str) -> None:
        address = PATH.fullmatch(rest)
        if address is None or address[1].upper() != "TO" or not address[2]:
            await self._say("501 5.5.4 Syntax: RCPT TO:<address>")
            return
        if self._open is None or not self._open["accepting"]:
            await self._say("503 5.5.1 Bad sequence of commands")
            return
        if len(self._open["rcpt_to"]) >= MAX_RECIPIENTS:
            await self._say("452 4.5.3 Too many recipients")
            return
        reply = self._told("rcpt", "250 2.1.5 Recipient OK")
        self._open["rcpt_to"].append(address[2])
        self._open["accepted"] += not refuses(reply)
        self._open["reply"] = reply
        await self._say(reply)

    async def _data(self, _verb: str, _rest: str) -> None:
        if self._open is None or not self._open["accepted"]:
            await self._say("503 5.5.1 No valid recipients")
            return
        # logged as 354 if the sender goes away before the end of the message
        self._open["reply"] = reply = self._told("data", "354 End data with <CR><LF>.<CR><LF>")
        if reply[0] != "3":
            self._end()
            await self._say(reply)
            return
        await self._say(reply)
        verdict = self._judge(*await self._message())
        self._open["reply"] = verdict
        self._end()
        await self._say(verdict)

    async def _message(self) -> tuple[bytes, str]:
        """The message and what is wrong with it. It is read to its end even then, or the rest would be commands."""
        lines: list[bytes] = []
        size, fault = 0, ""
        while (line := await self._line(MAX_LINE)) != b".\r\n":
            size += len(line)
            if size > MAX_MESSAGE:
                fault = "552 5.3.4 Message too big"
                lines.clear()
            elif b"\n" in line[:-2] or b"\r" in line[:-2] or b"\0" in line:
                fault = fault or "554 5.6.0 Bare LF, bare CR or NUL in the message"
            if not fault:
                lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines), fault

    def _judge(self, body: bytes, fault: str) -> str:
        assert self._open is not None
        reply = fault or self._told("end", "")
        if reply and refuses(reply):
            return reply
        self._open["file"] = self._store.keep(self._open, body)
        return reply or f"250 2.6.0 Queued as {self._open['file'].partition('.')[0].removeprefix('new/')}"

    async def _reset(self, _verb: str, _rest: str) -> None:
        self._end()
        await self._say("250 2.0.0 OK")

    async def _noop(self, _verb: str, _rest: str) -> None:
        await self._say("250 2.0.0 OK")

    async def _quit(self, _verb: str, _rest: str) -> None:
        self._end()
        await self._say(f"221 2.0.0 {self._store.mx} closing")
        raise Hangup

    def _begin(self, mail_from: str, reply: str) -> None:
        self._open = {
            "time": time.time(),
            "peer": self._peer,
            "helo": self._helo,
            "mail_from": mail_from,
            "rcpt_to": [],
            "file": None,
            "reply": reply,
            "accepted": 0,
            "accepting": not refuses(reply),
        }

    def _end(self) -> None:
        if self._open is not None:
            self._store.log({key: value for key, value in self._open.items() if key not in ("accepted", "accepting")})
        self._open = None


async def serve(store: Store) -> None:
    sessions = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sessions
        sessions += 1
        try:
            if sessions > MAX_SESSIONS:
                writer.write(b"421 4.7.0 Too many connections\r\n")
            else:
                await Session(store, reader, writer).run()
        except (Hangup, ConnectionError, asyncio.IncompleteReadError):
            pass
        except Exception as error:
            # one bad session must not end the receiver; the console of the estate shows what it was
            print(f"session failed: {error!r}", flush=True)
        finally:
            sessions -= 1
            writer.close()

    server = await asyncio.start_server(connected, "0.0.0.0", PORT, limit=MAX_LINE)  # noqa: S104 a namespace of its own
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Store(Path(sys.argv[1]), sys.argv[2])))
