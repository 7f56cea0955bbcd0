"""A host reached over SSH: pinned key, argv-only commands with time-outs, atomic file replacement.

Two handles on one kind of connection: `observe()` gives a Reader, which refuses everything that is not known to be
read-only; `operate()` gives a Writer. Nothing else in this project opens a connection or quotes a remote command.
"""

import os
import shlex
import smtplib
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import paramiko
from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from deliverability import estate as estates
from deliverability.errors import (
    CommandFailed,
    CommandTimedOut,
    Conflict,
    HostError,
    HostKeyMismatch,
    HostUnreachable,
    MalformedFile,
    ReadOnlyViolation,
)

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 30.0
KEEPALIVE_SECONDS = 5
OUTPUT_LIMIT = 16 * 1024 * 1024
WINDOW = 2 * OUTPUT_LIMIT
"""What the host may send before we have read it: standard input, output and error must never wait for each other."""

CHANNELS = 8
"""Commands run at once over one connection: sshd's MaxSessions is 10 by default."""

REMOTE_ENVIRONMENT = ("env", "LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
"""A non-login shell of sshd has no sbin on its PATH, and messages we match must not be translated."""

READS = (
    ("cat", "--"),
    ("ifquery", "--list"),
    ("ls", "-1", "--"),
    ("postcat", "-e", "-q"),
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


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended. `exit_code` -1 means that a signal ended it."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class SshHost(Block):
    """One host over SSH. The private key stays in its file; only its place is kept here."""

    _block_type_name = "SSH host"
    _block_type_slug = "ssh-host"
    _description = "A host of the estate, reached over SSH with a pinned host key."

    name: str = Field(description="Its entry in the estate file, e.g. mta")
    address: str
    port: int = Field(22, ge=1, le=65535)
    user: str = "root"
    key: str = Field(description="file:PATH of the private key")
    host_key: str = Field(description="'ssh-ed25519 AAAA...' or file:PATH in known_hosts format")
    passphrase: SecretStr | None = None

    @classmethod
    def of(cls, name: str, host: estates.Host) -> Self:
        """The block of one entry of the estate's [hosts]."""
        return cls(
            name=name, address=str(host.address), port=host.port, user=host.user, key=host.key, host_key=host.host_key
        )

    @contextmanager
    def observe(self) -> Iterator["Reader"]:
        """A new connection that can only look."""
        client = self._connect()
        try:
            yield Reader(self, client)
        finally:
            client.close()

    @contextmanager
    def operate(self) -> Iterator["Writer"]:
        """A new connection that can change the host."""
        client = self._connect()
        try:
            yield Writer(self, client)
        finally:
            client.close()

    def _connect(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        self._pin(client)
        key_file = resolve_file(self.key)
        if not key_file.is_file():
            raise HostError(
                f"{self.name}: no private key at {key_file}", next_step=f"put it there, or set hosts.{self.name}.key"
            )
        try:
            client.connect(
                self.address,
                port=self.port,
                username=self.user,
                key_filename=str(key_file),
                passphrase=self.passphrase.get_secret_value() if self.passphrase else None,
                allow_agent=False,
                look_for_keys=False,
                sock=self._socket(),
                timeout=CONNECT_SECONDS,
                banner_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS,
                channel_timeout=CONNECT_SECONDS,
            )
        except paramiko.BadHostKeyException as error:
            client.close()
            raise HostKeyMismatch(
                f"{self._where}: the host shows the key {error.key.get_base64()[:24]}..., the pinned one is "
                f"{error.expected_key.get_base64()[:24]}...; this may be another machine. Nothing was sent",
                next_step=f"find out why it changed; then correct hosts.{self.name}.host_key",
            ) from None
        except paramiko.AuthenticationException as error:
            client.close()
            raise HostError(
                f"{self._where}: {self.user} is not let in with {key_file}: {error}",
                next_step=f"ssh -i {key_file} -p {self.port} {self.user}@{self.address}",
            ) from None
        except paramiko.SSHException as error:
            transport = client.get_transport()
            negotiated = transport is not None and transport.is_active()
            client.close()
            if "not found in known_hosts" in str(error):
                raise HostKeyMismatch(
                    f"{self._where}: no pinned host key in {self.host_key}",
                    next_step=f"ssh-keyscan -p {self.port} {self.address}   # compare with the console, then pin it",
                ) from None
            if negotiated:
                raise HostError(
                    f"{self._where}: {key_file} cannot be used as the private key: {error}",
                    next_step=f"ssh-keygen -y -f {key_file}   # or set hosts.{self.name}.key",
                ) from None
            raise HostUnreachable(f"{self._where}: {error}", next_step="runbook doctor") from None
        except (OSError, EOFError) as error:
            client.close()
            raise HostUnreachable(f"{self._where}: {error or 'timed out'}", next_step="runbook doctor") from None
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(KEEPALIVE_SECONDS)
        return client

    def _socket(self) -> socket.socket:
        connected = socket.create_connection((self.address, self.port), CONNECT_SECONDS)
        # Else a small packet waits until the one before it is acknowledged: a round trip more in most steps.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _pin(self, client: paramiko.SSHClient) -> None:
        pinned = client.get_host_keys()
        if not self.host_key.startswith("file:"):
            known_as = self.address if self.port == 22 else f"[{self.address}]:{self.port}"
            entry = _host_key(f"{known_as} {self.host_key}")
            if entry is None or entry.key is None:
                raise HostKeyMismatch(
                    f"hosts.{self.name}.host_key is no public key: {self.host_key[:40]!r}",
                    next_step=f"ssh-keyscan -p {self.port} {self.address}   # compare with the console, then pin it",
                )
            pinned.add(known_as, entry.key.get_name(), entry.key)
            return
        file = resolve_file(self.host_key)
        try:
            pinned.load(str(file))
        except (OSError, paramiko.hostkeys.InvalidHostKey) as error:
            why = error.strerror if isinstance(error, OSError) else f"no host key: {error.line[:40]!r}"
            raise HostKeyMismatch(
                f"{self._where}: cannot read the pinned keys in {file}: {why}",
                next_step=f"set hosts.{self.name}.host_key in the estate file",
            ) from None

    @property
    def _where(self) -> str:
        return f"{self.name} ({self.address}:{self.port})"


def resolve_file(reference: str) -> Path:
    """The path of a `file:` reference, with ~ and $NAME expanded. Raises HostError if a $NAME is not set."""
    path = os.path.expandvars(reference.removeprefix("file:"))
    if "$" in path:
        raise HostError(
            f"{reference}: the environment variable in it is not set",
            next_step="runbook rehearse --keep   # for the rehearsal estate" if "REHEARSAL" in path else "set it",
        )
    return Path(path).expanduser()


class Reader:
    """A connection that looks and never writes."""

    def __init__(self, host: SshHost, client: paramiko.SSHClient) -> None:
        self.host = host
        self._client = client

    def run(self, *argv: str, timeout: float = COMMAND_SECONDS, check: bool = True, stdin: str | None = None) -> Result:
        """Run one command and wait for its end.

        Raises CommandFailed when `check` and it ends with another code than 0, CommandTimedOut after `timeout` seconds,
        HostUnreachable when the connection dies, ReadOnlyViolation for a command that is not known to be read-only.
        `stdin` is for a command that reads it to its end; without it, the command reads nothing.
        """
        self._allow(argv)
        result = self._run(argv, timeout, stdin)
        if check and result.exit_code != 0:
            raise _failed(self.host.name, result)
        return result

    def run_all(self, *commands: Sequence[str], timeout: float = COMMAND_SECONDS) -> list[Result]:
        """Run commands at once over this one connection; results in the order of `commands`, none checked."""
        with ThreadPoolExecutor(CHANNELS) as pool:
            return list(pool.map(lambda argv: self.run(*argv, timeout=timeout, check=False), commands))

    @property
    def local_address(self) -> str:
        """The host's own address of this connection, as we see it."""
        return str(self._transport().getpeername()[0])

    def _allow(self, argv: Sequence[str]) -> None:
        words = tuple(argv)
        if words not in LOOKS and not any(words[: len(known)] == known for known in READS):
            raise ReadOnlyViolation(f"observing {self.host.name} may not run: {shlex.join(argv)}")

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise HostUnreachable(f"{self.host.name}: the connection is gone", next_step="runbook doctor")
        return transport

    def _run(self, argv: Sequence[str], timeout: float, stdin: str | None) -> Result:
        deadline = time.monotonic() + timeout
        # An end of file that we send crosses the end of a short command, and then sshd drops the whole connection.
        command = shlex.join([*REMOTE_ENVIRONMENT, *argv]) + (" </dev/null" if stdin is None else "")
        transport = self._transport()
        try:
            channel = transport.open_session(WINDOW, timeout=min(timeout, CONNECT_SECONDS))
            with channel:
                channel.settimeout(timeout)
                channel.exec_command(command)
                if stdin is not None:
                    channel.sendall(stdin.encode())
                    channel.shutdown_write()
                stdout = _drain(channel.recv, deadline)
                stderr = _drain(channel.recv_stderr, deadline)
                if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                code = channel.recv_exit_status()
                if code == -1 and not transport.is_active():
                    raise EOFError("the connection ended before the command did")
        except TimeoutError:
            raise CommandTimedOut(f"{self.host.name}: {shlex.join(argv)} did not end within {timeout:g} s") from None
        except _TooMuch:
            raise CommandFailed(
                f"{self.host.name}: {shlex.join(argv)} printed more than {OUTPUT_LIMIT} bytes, which is the limit"
            ) from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostUnreachable(
                f"{self.host.name}: connection lost in {shlex.join(argv)}: {error}", next_step="runbook doctor"
            ) from None
        return Result(tuple(argv), code, _text(argv, stdout), stderr.decode("utf-8", "replace"))


class Writer(Reader):
    """A connection that can change the host."""

    def _allow(self, argv: Sequence[str]) -> None:
        return

    def replace_text(self, path: str, before: str, after: str) -> bool:
        """Replace a file's whole text, atomically, keeping owner and mode; True if something was written.

        Compare-and-set: a file that already says `after` is left alone; one that says neither raises Conflict.
        A symbolic link is followed, so that the link stays a link.
        """
        real = self.run("readlink", "-f", "--", path).stdout.strip()
        now = self.run("cat", "--", real).stdout
        if now == after:
            return False
        if now != before:
            raise Conflict(f"{self.host.name}:{path} is not the file the plan was made for", next_step="plan again")
        self.write_text(real, after)
        return True

    def write_text(self, path: str, text: str, mode: int | None = None) -> None:
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
                sftp.posix_rename(temporary, path)
            except (OSError, CommandFailed) as error:
                _unlink(sftp, temporary)
                raise HostError(f"{self.host.name}: cannot write {path}: {error}", next_step=f"df -h {path}") from None
        self.run("sync", "--", str(target.parent))

    @contextmanager
    def sftp(self) -> Iterator[paramiko.SFTPClient]:
        """File transfer over this connection."""
        try:
            client = self._client.open_sftp()
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise HostUnreachable(f"{self.host.name}: no file transfer: {error}") from None
        channel = client.get_channel()
        assert channel is not None
        channel.settimeout(COMMAND_SECONDS)
        try:
            yield client
        finally:
            client.close()

    @contextmanager
    def smtp(self, address: str, port: int) -> Iterator[smtplib.SMTP]:
        """SMTP to a port as seen from the host itself, through this connection (direct-tcpip)."""
        where = f"{self.host.name}: port {port} of {address} there"
        try:
            channel = self._transport().open_channel(
                "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=CONNECT_SECONDS
            )
            channel.settimeout(COMMAND_SECONDS)
            session = _SmtpOverChannel(channel)
        except (paramiko.SSHException, smtplib.SMTPException, OSError) as error:
            raise HostError(f"{where} does not answer: {error}", next_step="ss -ltn, on the host") from None
        try:
            yield session
        except (smtplib.SMTPException, OSError) as error:
            raise HostError(f"{where} broke off: {error}") from None
        finally:
            session.close()

    @contextmanager
    def session(self, *argv: str) -> Iterator[paramiko.Channel]:
        """A command that stays running while the context is open; closing its standard input is to end it."""
        channel = self._transport().open_session(timeout=CONNECT_SECONDS)
        channel.settimeout(CONNECT_SECONDS)
        channel.exec_command(shlex.join([*REMOTE_ENVIRONMENT, *argv]))
        try:
            yield channel
        finally:
            channel.close()


def _host_key(line: str) -> paramiko.hostkeys.HostKeyEntry | None:
    try:
        return paramiko.hostkeys.HostKeyEntry.from_line(line)
    except paramiko.hostkeys.InvalidHostKey:
        return None


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
