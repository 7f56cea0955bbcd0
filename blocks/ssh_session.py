"""What one may do over an SSH connection: a Reader looks, a Writer changes.

Commands are argv only, with time-outs; a Reader refuses everything that is not known to be read-only. Nothing else in
this project quotes a remote command.
"""

import http.client
import logging
import shlex
import smtplib
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import PurePosixPath

import paramiko

from blocks import listmonk_sql, ssh_http
from deliverability.errors import (
    CommandFailed,
    CommandTimedOut,
    Conflict,
    HostError,
    HostUnreachable,
    MalformedFile,
    ReadOnlyViolation,
)

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 10.0
"""A person is told when the host has not answered for this long; no command here is meant to take longer in silence."""

COMMAND_SECONDS = 30.0
OUTPUT_LIMIT = 16 * 1024 * 1024
WINDOW = 2 * OUTPUT_LIMIT
"""What the host may send before we have read it: standard input, output and error must never wait for each other."""

CHANNELS = 8
"""Commands run at once over one connection: sshd's MaxSessions is 10 by default."""

log = logging.getLogger("runbook")

REMOTE_ENVIRONMENT = ("env", "LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
"""A non-login shell of sshd has no sbin on its PATH, and messages we match must not be translated."""

READS = (
    ("/usr/local/hestia/bin/v-list-dns-domain",),
    ("/usr/local/hestia/bin/v-list-dns-records",),
    ("cat", "--"),
    ("ifquery", "--list"),
    ("ls", "-1", "--"),
    ("opendkim-testkey",),
    ("postcat", "-e", "-q"),
    ("sha256sum", "--"),
    ("stat", "-L", "-c"),
    ("systemctl", "is-active"),
    ("systemctl", "show"),
    ("tail", "-c"),
)
"""Beginnings of commands that only read, whatever words follow."""

LOOKS = (
    ("date", "+%z"),
    ("ip", "-j", "addr", "show"),
    ("ip", "-j", "route", "show"),
    ("postconf", "-M"),
    ("postconf", "-n"),
    ("postfix", "status"),
    ("postqueue", "-j"),
    ("printenv", "SSH_CONNECTION"),
    ("ps", "-C", "qmgr", "-o", "lstart="),
    ("ss", "-Hltn"),
)
"""Whole commands that only read: one word more could make them write (`postconf -M a/unix=...`, `ss -K`)."""


NAMED = (
    ("openssl", "pkey", "-pubout", "-in"),
    listmonk_sql.LOOKING,
)
"""Commands that only read, each with one word after it: a file, a database."""


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended. `exit_code` -1 means that a signal ended it."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class Reader:
    """A connection that looks and never writes."""

    def __init__(self, name: str, client: paramiko.SSHClient) -> None:
        self.name = name
        self._client = client
        self._silent = threading.Lock()

    def run(
        self, *argv: str, timeout: float = COMMAND_SECONDS, check: bool = True, stdin: bytes | None = None
    ) -> Result:
        """Run one command and wait for its end.

        Raises CommandFailed when `check` and it ends with another code than 0, CommandTimedOut after `timeout` seconds,
        HostUnreachable when the connection dies, ReadOnlyViolation for a command that is not known to be read-only.
        `stdin` is for a command that reads it to its end; without it, the command reads nothing.
        """
        self._allow(argv)
        result = self._run(argv, timeout, stdin)
        if check and result.exit_code != 0:
            raise _failed(self.name, result)
        return result

    def run_all(self, *commands: Sequence[str], timeout: float = COMMAND_SECONDS) -> list[Result]:
        """Run commands at once over this one connection; results in the order of `commands`, none checked."""
        with ThreadPoolExecutor(CHANNELS) as pool:
            return list(pool.map(lambda argv: self.run(*argv, timeout=timeout, check=False), commands))

    @property
    def local_address(self) -> str:
        """The host's own address of this connection, as we see it."""
        return str(self._transport().getpeername()[0])

    def http_get(self, target: str, headers: Mapping[str, str]) -> ssh_http.Answer:
        """GET of HOST:PORT/PATH as seen from the host itself, through this connection. Raises HostError."""
        return self._http("GET", target, headers, None)

    def _http(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> ssh_http.Answer:
        address, _, rest = target.partition(":")
        port = int(rest.partition("/")[0])
        where = f"{self.name}: http://{target.partition('?')[0]} there"
        try:
            with self._watched("http"), self._tunnel(address, port) as channel:
                return ssh_http.exchange(channel, method, target, headers, body, OUTPUT_LIMIT)
        except ssh_http.TooLong:
            raise HostError(f"{where} answered more than {OUTPUT_LIMIT} bytes, which is the limit") from None
        except (paramiko.SSHException, http.client.HTTPException, OSError, EOFError) as error:
            raise HostError(
                f"{where} does not answer: {error or type(error).__name__}", next_step="ss -ltn, on the host"
            ) from None

    def _tunnel(self, address: str, port: int) -> paramiko.Channel:
        channel = self._transport().open_channel(
            "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=CONNECT_SECONDS
        )
        channel.settimeout(COMMAND_SECONDS)
        return channel

    def _allow(self, argv: Sequence[str]) -> None:
        words = tuple(argv)
        if words not in LOOKS and words[:-1] not in NAMED and not any(words[: len(one)] == one for one in READS):
            raise ReadOnlyViolation(f"observing {self.name} may not run: {shlex.join(argv)}")

    @contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        """Say it, once for all that is under way on this connection, when the host leaves us without an answer."""
        ended = threading.Event()

        def wait() -> None:
            if not ended.wait(SILENCE_SECONDS) and self._silent.acquire(blocking=False):
                try:
                    log.warning("%s has not answered for %g s (%s); waiting", self.name, SILENCE_SECONDS, what)
                    ended.wait()
                finally:
                    self._silent.release()

        # Prefect finds the run that a log line belongs to by the context.
        threading.Thread(target=copy_context().run, args=(wait,), name="silence", daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise HostUnreachable(f"{self.name}: the connection is gone", next_step="runbook doctor")
        return transport

    def _run(self, argv: Sequence[str], timeout: float, stdin: bytes | None) -> Result:
        deadline = time.monotonic() + timeout
        # An end of file that we send crosses the end of a short command, and then sshd drops the whole connection.
        command = f"exec {shlex.join([*REMOTE_ENVIRONMENT, *argv])}" + (" </dev/null" if stdin is None else "")
        transport = self._transport()
        try:
            with (
                self._watched(argv[0]),
                transport.open_session(WINDOW, timeout=timeout) as channel,
            ):
                channel.settimeout(timeout)
                channel.exec_command(command)
                if stdin is not None:
                    channel.sendall(stdin)
                    channel.shutdown_write()
                stdout = _drain(channel.recv, deadline)
                stderr = _drain(channel.recv_stderr, deadline)
                if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                code = channel.recv_exit_status()
                if code == -1 and not transport.is_active():
                    raise EOFError("the connection ended before the command did")
        except TimeoutError:
            raise CommandTimedOut(f"{self.name}: {shlex.join(argv)} did not end within {timeout:g} s") from None
        except _TooMuch:
            raise CommandFailed(
                f"{self.name}: {shlex.join(argv)} printed more than {OUTPUT_LIMIT} bytes, which is the limit"
            ) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostUnreachable(
                f"{self.name}: connection lost in {shlex.join(argv)}: {error or type(error).__name__}",
                next_step="runbook doctor",
            ) from None
        return Result(tuple(argv), code, _text(argv, stdout), stderr.decode("utf-8", "replace"))


class Writer(Reader):
    """A connection that can change the host."""

    def _allow(self, argv: Sequence[str]) -> None:
        return

    def replace_text(self, path: str, before: str, after: str, only_if: Sequence[str] = ()) -> bool:
        """Replace a file's whole text, atomically, keeping owner and mode; True if something was written.

        `only_if` begins the command that puts the new file in its place, which may refuse.

        Compare-and-set: a file that already says `after` is left alone; one that says neither raises Conflict.
        A symbolic link is followed, so that the link stays a link.
        """
        real = self.run("readlink", "-f", "--", path).stdout.strip()
        now = self.run("cat", "--", real).stdout
        if now == after:
            return False
        if now != before:
            raise Conflict(f"{self.name}:{path} is not the file the plan was made for", next_step="plan again")
        self.write_text(real, after, only_if=only_if)
        return True

    def write_text(self, path: str, text: str, mode: int | None = None, only_if: Sequence[str] = ()) -> None:
        """Write a file through a temporary one beside it. An existing file's owner and mode are kept."""
        target = PurePosixPath(path)
        temporary = str(target.parent / f".{target.name}.runbook-new")
        with self.sftp() as sftp:
            existing = _stat(sftp, path)
            try:
                with sftp.open(temporary, "wb") as file:
                    file.chmod(0o600)  # until it is whole, and its owner's, nobody else reads it
                    file.write(text.encode())
                if existing is not None:
                    sftp.chown(temporary, existing.st_uid or 0, existing.st_gid or 0)
                    mode = stat.S_IMODE(existing.st_mode or 0o644)
                sftp.chmod(temporary, 0o644 if mode is None else mode)
                # Data before name: after a power cut the name must not lead to an empty file.
                self.run("sync", "--", temporary)
                self.run(*only_if, "mv", "--no-target-directory", "--", temporary, path)
            except (OSError, CommandFailed) as error:
                _unlink(sftp, temporary)
                raise HostError(f"{self.name}: cannot write {path}: {error}", next_step=f"df -h {path}") from None
        self.run("sync", "--", str(target.parent))

    @contextmanager
    def sftp(self) -> Iterator[paramiko.SFTPClient]:
        """File transfer over this connection."""
        try:
            client = self._client.open_sftp()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostUnreachable(f"{self.name}: no file transfer: {error}") from None
        channel = client.get_channel()
        assert channel is not None
        channel.settimeout(COMMAND_SECONDS)
        try:
            with self._watched("file transfer"):
                yield client
        finally:
            client.close()

    @contextmanager
    def smtp(self, address: str, port: int) -> Iterator[smtplib.SMTP]:
        """SMTP to a port as seen from the host itself, through this connection (direct-tcpip)."""
        where = f"{self.name}: port {port} of {address} there"
        try:
            session = _SmtpOverChannel(self._tunnel(address, port))
        except (paramiko.SSHException, smtplib.SMTPException, OSError) as error:
            raise HostError(f"{where} does not answer: {error}", next_step="ss -ltn, on the host") from None
        try:
            yield session
        except (smtplib.SMTPException, OSError) as error:
            raise HostError(f"{where} broke off: {error}") from None
        finally:
            session.close()

    def http(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> ssh_http.Answer:
        """A request that may change something; else as `http_get`."""
        return self._http(method, target, headers, body)

    @contextmanager
    def session(self, *argv: str) -> Iterator[paramiko.Channel]:
        """A command that stays running while the context is open; closing its standard input is to end it."""
        channel = self._transport().open_session(timeout=CONNECT_SECONDS)
        channel.settimeout(CONNECT_SECONDS)
        channel.exec_command(f"exec {shlex.join([*REMOTE_ENVIRONMENT, *argv])}")
        try:
            yield channel
        finally:
            channel.close()


class _SmtpOverChannel(smtplib.SMTP):
    """smtplib over an SSH channel, which behaves like a socket."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        super().__init__("localhost", local_hostname="localhost", timeout=COMMAND_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._channel  # type: ignore[return-value]


class _TooMuch(Exception):
    """More output than OUTPUT_LIMIT."""


def _drain(receive: Callable[[int], bytes], deadline: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := receive(65536):
        chunks.append(chunk)
        size += len(chunk)
        if time.monotonic() > deadline:
            raise TimeoutError
        if size > OUTPUT_LIMIT:
            raise _TooMuch
    return b"".join(chunks)


def _text(argv: Sequence[str], data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedFile(argv[-1], line, "not UTF-8; nothing can be edited safely") from None


def _failed(name: str, result: Result) -> CommandFailed:
    said = (result.stderr.strip() or result.stdout.strip())[-500:]
    return CommandFailed(f"{name}: {shlex.join(result.argv)} ended with {result.exit_code}: {said}")


def _stat(sftp: paramiko.SFTPClient, path: str) -> paramiko.SFTPAttributes | None:
    try:
        return sftp.stat(path)
    except FileNotFoundError:
        return None


def _unlink(sftp: paramiko.SFTPClient, path: str) -> None:
    try:
        sftp.unlink(path)
    except OSError:
        return
