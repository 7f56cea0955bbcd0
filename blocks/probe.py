"""A test message on one stream, and where it was seen: at the receiver, or else in the host's own log."""

import email
import email.policy
import email.utils
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from blocks.ssh_host import resolve_file
from blocks.ssh_session import Reader, Writer
from deliverability.errors import HostError
from deliverability.estate_tables import Probe, Stream
from deliverability.postfix import mail_log

TOKEN_HEADER = "X-Runbook-Probe"  # noqa: S105
ARRIVAL_SECONDS = 45.0
POLL_SECONDS = 0.3
_RECEIVED = re.compile(r"^from\s+(?P<helo>\S+)\s+\([^)]*\[(?P<ip>[0-9A-Fa-f.:]+)\]\)", re.ASCII)
_QUEUED = re.compile(r"queued as (?P<id>[0-9A-Za-z]{6,})")


@dataclass(frozen=True)
class Sighting:
    """Where a probe was seen, with the peer address and HELO it came with ("" where the witness does not tell).

    `message` is the whole of it as the receiver keeps it. Where only the host's log tells, `signed` has the d= and s=
    of the signatures that were added.
    """

    where: str
    ip: str
    helo: str
    transport: str = ""
    relay: str = ""
    note: str = ""
    message: bytes = b""
    signed: tuple[tuple[str, str], ...] = ()


def send(host: Writer, stream_name: str, stream: Stream, probe: Probe, token: str) -> str:
    """Hand one message in as the stream's application does; its queue id. Raises HostError if it is refused."""
    assert stream.submission is not None
    sender = email.utils.parseaddr(stream.sender)[1]
    message = EmailMessage()
    message["From"] = stream.sender
    message["To"] = probe.address
    message["Subject"] = f"Delivery check of the {stream_name} stream"
    message["Message-ID"] = f"<{token}@{sender.rpartition('@')[2]}>"
    message["Date"] = email.utils.formatdate()
    message[TOKEN_HEADER] = token
    if stream.reply_to:
        message["Reply-To"] = stream.reply_to
    message.set_content(
        f"The deliverability runbook checks the path of the {stream_name} stream. No answer is needed.\n"
    )
    with host.smtp(stream.submission.host, stream.submission.port) as session:
        session.ehlo()
        session.mail(stream.envelope_sender)
        code, answer = session.rcpt(probe.address)
        if code == 250:
            code, answer = session.data(message.as_bytes(policy=email.policy.SMTP))
        text = answer.decode("utf-8", "replace")
        queued = _QUEUED.search(text)
        if code != 250 or queued is None:
            raise HostError(f"stream {stream_name}: port {stream.submission.port} answered {code} {text}")
        return queued["id"]


def watch(host: Reader, probe: Probe, token: str, queue_id: str, log: str, offset: int) -> Sighting | None:
    """Wait until the probe is seen; None if it was not within ARRIVAL_SECONDS. Raises HostError if it bounced.

    With a mailbox, the receiver is the witness: the Received header it wrote names the peer it saw. Without one, the
    host's log is: which transport delivered the message, to whom, with which answer.
    """
    give_up = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < give_up:
        lines = log_since(host, log, offset)
        attempts = [attempt for attempt in mail_log.deliveries(lines) if attempt.queue_id == queue_id]
        signed = tuple(mail_log.signatures(lines, queue_id))
        sighting = _in_mailbox(probe, token) if probe.mailbox else _in_log(host, attempts, signed)
        if sighting is not None:
            return sighting
        for attempt in attempts:
            if attempt.status == "bounced":
                raise HostError(f"{probe.address} was refused: {attempt.text}")
        time.sleep(POLL_SECONDS)
    return None


def log_since(host: Reader, path: str, offset: int) -> list[str]:
    """Lines of a log written after it was `offset` bytes long; a log that was rotated is read from its start."""
    size = log_size(host, path)
    start = offset if size >= offset else 0
    return host.run("tail", "-c", f"+{start + 1}", "--", path).stdout.splitlines()


def log_size(host: Reader, path: str) -> int:
    """Bytes in a log, 0 if there is none."""
    result = host.run("stat", "-L", "-c", "%s", "--", path, check=False)
    return int(result.stdout) if result.exit_code == 0 else 0


def _in_mailbox(probe: Probe, token: str) -> Sighting | None:
    spool = resolve_file(probe.mailbox.removeprefix("maildir:"))
    for file in _newest(spool):
        whole = file.read_bytes()
        message = email.message_from_bytes(whole, policy=email.policy.default)
        if message.get(TOKEN_HEADER, "").strip() != token:
            continue
        received = _RECEIVED.match(" ".join(str(message.get("Received", "")).split()))
        if received is None:
            note = "its Received header names no peer"
            return Sighting(f"receiver {probe.receiver}", "", "", note=note, message=whole)
        return Sighting(f"receiver {probe.receiver}", received["ip"], received["helo"], message=whole)
    return None


def _newest(spool: Path) -> list[Path]:
    files = [file for folder in ("new", "cur") for file in (spool / folder).glob("*")]
    return sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)[:200]


def _in_log(
    host: Reader, attempts: Sequence[mail_log.Delivery], signed: tuple[tuple[str, str], ...]
) -> Sighting | None:
    for attempt in attempts:
        if attempt.status == "sent":
            transport = attempt.program.removeprefix("postfix/").partition("/")[0]
            return Sighting(f"log of {host.name}", "", "", transport, attempt.relay_ip, attempt.text, signed=signed)
    return None
