"""A host reached over SSH: where it is, with which key, and that it is the one we know.

`observe()` gives a handle that can only look, `operate()` one that can change the host (ssh_session.py). Nothing else
in this project opens a connection.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import paramiko
from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.ssh_session import COMMAND_SECONDS, CONNECT_SECONDS, Reader, Writer
from deliverability import estate_tables
from deliverability.errors import HostError, HostKeyMismatch, HostUnreachable

KEEPALIVE_SECONDS = 5
DEAD_SECONDS = 20
"""A connection whose other end has acknowledged nothing for this long is dead. Left to itself the kernel takes fifteen
minutes, or two hours when nothing is under way; that is how long other tools hang on a cut cable.
"""


# Its thread logs a traceback when a connection is reset; what a person needs of that is in the error we raise.
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


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
    def of(cls, name: str, host: estate_tables.Host) -> Self:
        """The block of one entry of the estate's [hosts]."""
        return cls(
            name=name, address=str(host.address), port=host.port, user=host.user, key=host.key, host_key=host.host_key
        )

    @contextmanager
    def observe(self) -> Iterator[Reader]:
        """A new connection that can only look."""
        client = self._connect()
        try:
            yield Reader(self.name, client)
        finally:
            client.close()

    @contextmanager
    def operate(self) -> Iterator[Writer]:
        """A new connection that can change the host."""
        client = self._connect()
        try:
            yield Writer(self.name, client)
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
                channel_timeout=COMMAND_SECONDS,
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
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000)
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


def _host_key(line: str) -> paramiko.hostkeys.HostKeyEntry | None:
    try:
        return paramiko.hostkeys.HostKeyEntry.from_line(line)
    except paramiko.hostkeys.InvalidHostKey:
        return None
