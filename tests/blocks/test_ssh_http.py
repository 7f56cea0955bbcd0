"""HTTP over a channel: an answer is read whole or not at all."""

import http.client
import socket
from typing import Any

import pytest

from blocks.ssh_http import Answer, TooLong, exchange

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def ask(answer: bytes) -> Answer:
    """What is made of these bytes, after which the server hangs up."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        channel: Any = ours
        return exchange(channel, "GET", "127.0.0.1:9000/api/config", {}, None, limit=10)


def test_an_answer() -> None:
    assert ask(HEAD % 4 + b"data") == Answer(200, "data")
    assert ask(HEAD % 0) == Answer(200, "")


@pytest.mark.parametrize("came", [b"", b"da"])
def test_one_that_is_cut_off_is_none(came: bytes) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(HEAD % 4 + came)


def test_one_that_is_too_long_is_none() -> None:
    with pytest.raises(TooLong):
        ask(HEAD % 11 + b"x" * 11)
