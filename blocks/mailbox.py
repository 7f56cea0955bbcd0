"""A mailbox over IMAP and TLS, read so that no mail is lost and none is changed but for its flags.

IMAPClient rather than imaplib: answers come parsed, and it has a time-out. What a person does to the mailbox meanwhile
(reading, moving, deleting) is let be: mails are known by UID, never by their flags or their place (RFC 3501 2.3.1.1).
"""

import os
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from imapclient import FLAGGED, SEEN, IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, LoginError
from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.ssh_host import resolve_file
from deliverability.errors import MailboxAway, MailboxError
from deliverability.estate_tables import Dmarc

Answer = TypeVar("Answer")

TIMEOUT_SECONDS = 60.0
RECONNECTS = 5
"""Tries after the first one, 1, 2, 4, 8 and 16 s apart."""

SEARCH_STEP = 20_000
"""UIDs asked for at once: the client takes no line of over a million bytes."""

BATCH_MAILS = 50
BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Fetched:
    """A mail; `raw` is None for one that is over the limit, which was not fetched."""

    uid: int
    size: int
    raw: bytes | None


class Mailbox(Block):
    """Where a mailbox is, and its login."""

    _block_type_name = "Mailbox"
    _block_type_slug = "mailbox"
    _description = "A mailbox over IMAP and TLS."

    name: str = Field(description="Its address, for people")
    host: str
    port: int = 993
    user: str
    password: SecretStr
    folder: str = "INBOX"
    authority: str = Field(
        "", description="file:PATH of the CA that signed the server's certificate; none: the system's"
    )

    @classmethod
    def of(cls, settings: Dmarc) -> Self:
        """The mailbox whose login is in variables of the environment, or in the estate's file. Raises MailboxError."""
        variables = _variables(settings.env_file) | os.environ
        names = [f"{settings.imap}{part}" for part in ("HOST", "USER", "PASS")]
        missing = [name for name in names if not variables.get(name)]
        if missing:
            raise MailboxError(
                f"the login of {settings.mailbox} is nowhere: {', '.join(missing)}",
                next_step="put these lines into a file of mode 600, and name it in dmarc.env_file",
            )
        host, user, password = (variables[name] for name in names)
        port = variables.get(f"{settings.imap}PORT") or 993
        return cls(
            name=settings.mailbox,
            host=host,
            port=int(port),
            user=user,
            password=SecretStr(password),
            folder=settings.folder,
            authority=settings.authority,
        )

    def open(self) -> "OpenMailbox":
        """Use as a context manager. Raises MailboxError."""
        return OpenMailbox(self)

    def connect(self) -> IMAPClient:
        context = ssl.create_default_context(cafile=str(resolve_file(self.authority)) if self.authority else None)
        try:
            client = IMAPClient(self.host, self.port, ssl=True, ssl_context=context, timeout=TIMEOUT_SECONDS)
        except ssl.SSLCertVerificationError as error:
            raise MailboxError(
                f"{self._where}: its certificate is not trusted: {error.verify_message}",
                next_step="set dmarc.authority",
            ) from None
        try:
            client.login(self.user, self.password.get_secret_value())
        except LoginError as error:
            with suppress(OSError, IMAPClientError):
                client.shutdown()
            if "UNAVAILABLE" in str(error):  # RFC 5530: what decides about logins is down
                raise MailboxAway(f"{self._where}: {error}", next_step="runbook doctor") from None
            raise MailboxError(
                f"{self._where}: it refuses the login of {self.user}",
                next_step="correct the login in dmarc.env_file or in the environment",
            ) from None
        return client

    @property
    def _where(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"


def _variables(reference: str) -> dict[str, str]:
    """NAME=VALUE lines of a file, as a shell and a container read them: quotes are let be off, comments passed over."""
    if not reference:
        return {}
    file = resolve_file(reference)
    try:
        mode, text = file.stat().st_mode, file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise MailboxError(f"{file}, which has the login of the mailbox, cannot be read: {error}") from None
    if mode & 0o077:
        raise MailboxError(f"{file} has a password and may be read by others", next_step=f"chmod 600 {file}")
    lines = (line.strip().removeprefix("export ") for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}


class OpenMailbox:
    """One folder, open. A connection that is lost is made anew, and what was asked is asked again."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._client: IMAPClient | None = None
        self.uidvalidity = 0
        self._next = 1

    def __enter__(self) -> "OpenMailbox":
        try:
            self._retrying(lambda client: None)
        except BaseException:
            self._drop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, IMAPClientError):
                client.logout()

    def uids(self) -> list[int]:
        """Of all mails, ascending."""
        return self._search()

    def unseen(self) -> list[int]:
        """Of the mails without \\Seen and without \\Flagged, ascending."""
        return self._search("UNSEEN", "UNFLAGGED")

    def _search(self, *criteria: str) -> list[int]:
        found: list[int] = []
        step = max(SEARCH_STEP, self._next // 1_000)
        for low in range(1, self._next, step):
            words = ["UID", f"{low}:{min(low + step, self._next) - 1}", *criteria]
            # An answer may hold the last mail, whatever was asked for.
            found += self._retrying(lambda client, words=words: list(client.search(words)))  # type: ignore[misc]
        return sorted(set(found))

    def fetch(self, uids: Sequence[int], limit: int) -> Iterator[Fetched]:
        """The mails with these UIDs in batches, without setting \\Seen; those that are gone meanwhile are left out."""
        for batch in _batches(self._sizes(uids), limit):
            raws: dict[int, bytes] = {}
            if wanted := [uid for uid, size in batch if size <= limit]:
                answers = self._retrying(lambda client, wanted=wanted: client.fetch(wanted, ["BODY.PEEK[]"]))  # type: ignore[misc]
                raws = {uid: bytes(data[b"BODY[]"]) for uid, data in answers.items() if b"BODY[]" in data}
            for uid, size in batch:
                if size > limit:
                    yield Fetched(uid, size, None)
                elif uid in raws:
                    yield Fetched(uid, size, raws.pop(uid))

    def seen(self, uids: Sequence[int]) -> None:
        """Set \\Seen, as a person's mail program would show it; only once the store has what is in them."""
        self._flag(uids, SEEN)

    def flagged(self, uids: Sequence[int]) -> None:
        """Set \\Flagged: a person may want to look."""
        self._flag(uids, FLAGGED)

    def _flag(self, uids: Sequence[int], flag: bytes) -> None:
        if uids:
            self._retrying(lambda client: client.add_flags(uids, [flag], silent=True))

    def _sizes(self, uids: Sequence[int]) -> Iterator[tuple[int, int]]:
        for start in range(0, len(uids), 500):
            some = uids[start : start + 500]
            answers = self._retrying(lambda client, some=some: client.fetch(some, ["RFC822.SIZE"]))  # type: ignore[misc]
            for uid in some:
                if size := answers.get(uid, {}).get(b"RFC822.SIZE"):
                    yield uid, int(size)

    def _retrying(self, ask: Callable[[IMAPClient], Answer]) -> Answer:
        for attempt in range(RECONNECTS + 1):
            try:
                return ask(self._connected())
            except (OSError, IMAPClientError) as error:
                self._drop()
                if attempt == RECONNECTS:
                    raise MailboxAway(f"{self._mailbox._where}: {error}", next_step="runbook doctor") from None
                time.sleep(2**attempt)
        raise AssertionError("unreachable")

    def _connected(self) -> IMAPClient:
        if self._client is None:
            self._client = client = self._mailbox.connect()
            answer = self._select(client)
            if b"READ-WRITE" not in answer:
                raise MailboxError(f"{self._mailbox._where}: {self._mailbox.folder} cannot be written to")
            validity = int(answer[b"UIDVALIDITY"])
            if self.uidvalidity and validity != self.uidvalidity:
                raise MailboxError(
                    f"{self._mailbox._where}: it numbers its mails anew (UIDVALIDITY {validity})",
                    next_step="run again: all mails are read again, and no report counts twice",
                )
            self.uidvalidity, self._next = validity, int(answer.get(b"UIDNEXT", 1 << 32))
        return self._client

    def _select(self, client: IMAPClient) -> dict[bytes, Any]:
        try:
            return client.select_folder(self._mailbox.folder)  # type: ignore[no-any-return]
        except IMAPClientAbortError:
            raise
        except IMAPClientError as error:
            raise MailboxError(
                f"{self._mailbox._where}: the folder {self._mailbox.folder} cannot be opened: {error}",
                next_step="set dmarc.folder",
            ) from None

    def _drop(self) -> None:
        """Leave a connection that may be dead, without a word that it would have to answer."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, IMAPClientError):
                client.shutdown()


def _batches(sizes: Iterable[tuple[int, int]], limit: int) -> Iterator[list[tuple[int, int]]]:
    batch: list[tuple[int, int]] = []
    total = 0
    for uid, size in sizes:
        cost = size if size <= limit else 0
        if batch and (len(batch) >= BATCH_MAILS or total + cost > BATCH_BYTES):
            yield batch
            batch, total = [], 0
        batch.append((uid, size))
        total += cost
    if batch:
        yield batch
