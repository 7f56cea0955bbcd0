"""HTTP over an SSH channel, to a port as seen from the host at its other end: an API there needs no open port."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass

import paramiko


@dataclass(frozen=True)
class Answer:
    """What a server answered: the status, and the body as text."""

    status: int
    text: str


class TooLong(Exception):
    """An answer of more bytes than were to be read."""


def exchange(
    channel: paramiko.Channel, method: str, target: str, headers: Mapping[str, str], body: bytes | None, limit: int
) -> Answer:
    """One request and its answer; `target` is HOST:PORT/PATH. Raises OSError, HTTPException, TooLong."""
    host, _, path = target.partition("/")
    connection = http.client.HTTPConnection(host)
    connection.sock = channel  # it behaves like a socket
    try:
        connection.request(method, f"/{path}", body, {**headers, "Connection": "close"})
        response = connection.getresponse()
        content = response.read(limit + 1)
    finally:
        connection.close()
    if len(content) > limit:
        raise TooLong
    if response.length:  # http.client itself takes what there is: a server that restarts ends in mid-answer
        raise http.client.IncompleteRead(content, response.length)
    return Answer(response.status, content.decode("utf-8", "replace"))
