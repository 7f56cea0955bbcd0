"""Read what the Postfix queue tools print. Source: postqueue(1) -j, postcat(1) -e -q, Postfix 3.7 (both were run)."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deliverability.errors import MalformedFile
from deliverability.postfix.transports import transport_of

LIST_COMMAND = "postqueue -j"
SHOW_COMMAND = "postcat -e -q"

MAX_MESSAGES = 100_000
MAX_LINE = 4_000_000

_SECTION = re.compile(r"\*\*\* (?P<title>[A-Z ]+?) (?:[a-z]+/(?:[^/\s]+/)*)?(?P<id>[0-9A-Za-z]+) \*\*\*")
_END = "MESSAGE FILE END"
_ENVELOPE = ("ENVELOPE RECORDS", "HEADER EXTRACTED")
_FILTER = "content_filter: "


@dataclass(frozen=True)
class QueuedRecipient:
    """One recipient a queued message still has; `delay_reason` is empty until a delivery was tried."""

    address: str
    delay_reason: str = ""


@dataclass(frozen=True)
class QueuedMessage:
    """One message in the queue: its queue (active, deferred, hold, ...), arrival in UTC and what it still waits for."""

    queue_id: str
    queue: str
    arrival: datetime
    sender: str
    recipients: tuple[QueuedRecipient, ...]


def parse(text: str, *, max_messages: int = MAX_MESSAGES, max_line: int = MAX_LINE) -> tuple[QueuedMessage, ...]:
    """The messages that `postqueue -j` listed: one JSON object a line, nothing for an empty queue.

    Senders and recipients are strangers' text. MalformedFile for a line that is no such object or is longer than
    `max_line` characters, and for more than `max_messages`.
    """
    messages: list[QueuedMessage] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if len(messages) == max_messages:
            raise MalformedFile(LIST_COMMAND, number, f"more than {max_messages} queued messages")
        if len(line) > max_line:
            raise MalformedFile(LIST_COMMAND, number, f"a line longer than {max_line} characters")
        messages.append(_message(line, number))
    return tuple(messages)


def parse_filters(text: str) -> dict[str, str]:
    """By queue id: the transport of the content_filter that is recorded in the message, from `postcat -e -q ID...`.

    Every message shown has an entry, empty where no filter is recorded. An id that was asked for and has no entry was
    not looked into: postcat ends at the first message that has left the queue. The filter was fixed when the mail came
    in, and a later change of content_filter does not reach it; qmgr(8) uses the last of several. MalformedFile when the
    output for a message does not come to its end, because a filter may then be missing.
    """
    filters: dict[str, str] = {}
    section, current = _END, ""
    for number, line in enumerate(text.split("\n"), start=1):
        match = _SECTION.fullmatch(line)
        if match is None:
            if section in _ENVELOPE and line.startswith(_FILTER):
                filters[current] = transport_of(line.removeprefix(_FILTER))
            continue
        if match["title"] == _ENVELOPE[0] and section != _END:
            raise MalformedFile(SHOW_COMMAND, number, f"the output for {current} has no end")
        section, current = match["title"], match["id"]
        filters.setdefault(current, "")
    if section != _END:
        raise MalformedFile(SHOW_COMMAND, text.count("\n") + 1, f"the output for {current} has no end")
    return filters


def _message(line: str, number: int) -> QueuedMessage:
    try:
        entry: Any = json.loads(line)
        return QueuedMessage(
            queue_id=_text(entry["queue_id"]),
            queue=_text(entry["queue_name"]),
            arrival=datetime.fromtimestamp(int(entry["arrival_time"]), UTC),
            sender=_text(entry["sender"]),
            recipients=tuple(
                QueuedRecipient(_text(recipient["address"]), _text(recipient.get("delay_reason", "")))
                for recipient in entry["recipients"]
            ),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError, RecursionError) as error:
        raise MalformedFile(LIST_COMMAND, number, f"no queue entry ({type(error).__name__}): {line[:60]!r}") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where text was expected")
    return value
