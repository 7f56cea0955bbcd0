"""Telling a person: against a real HTTP listener on the loopback interface, and addresses that cannot be used."""

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from blocks.notifier import TEXT_LIMIT, Notifier
from deliverability.errors import NotificationFailed

TOKEN = "s3cret-t0ken"


class Listener(HTTPServer):
    """Keeps what it is told; answers with `status`."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        self.status = 200
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"json://user:{TOKEN}@127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        self.server.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "urls"


def notifier(file: Path) -> Notifier:
    return Notifier(urls=f"file:{file}")


def test_everybody_is_told_word_for_word(listener: Listener, file: Path) -> None:
    file.write_text(f"# who is on call\n{listener.address}\n\n{listener.address}\n")
    assert notifier(file).check() == 2
    assert listener.told == []
    assert notifier(file).send("mta: undo failed", "Do this:\nsh guard.sh undo  <b>*now*</b>") == 2
    assert [(told["title"], told["message"]) for told in listener.told] == [
        ("mta: undo failed", "Do this:\nsh guard.sh undo  <b>*now*</b>")
    ] * 2


def test_a_long_text_is_cut(listener: Listener, file: Path) -> None:
    file.write_text(listener.address)
    notifier(file).send("t", "x" * 10_000)
    assert listener.told[0]["message"] == "x" * TEXT_LIMIT + " [...]"


def test_who_was_not_reached_is_said_without_the_token(
    listener: Listener, file: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    listener.status = 500
    file.write_text(f"{listener.address}\n")
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(NotificationFailed, match="address 1 could not be told") as error,
    ):
        notifier(file).send("t", "x")
    out, err = capfd.readouterr()
    assert TOKEN not in str(error.value) + caplog.text + out + err


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "there is no address that apprise knows"),
        ("# nobody yet\n", "there is no address that apprise knows"),
        (f"telegraph://{TOKEN}\n", "address 1 is none that apprise knows"),
        (f"json://127.0.0.1\nnothing of the kind {TOKEN}\n", "address 2 is none that apprise knows"),
    ],
)
def test_what_is_no_address(file: Path, text: str, fact: str) -> None:
    file.write_text(text)
    with pytest.raises(NotificationFailed, match=fact) as error:
        notifier(file).check()
    assert TOKEN not in str(error.value)


def test_no_file_and_no_text(file: Path) -> None:
    with pytest.raises(NotificationFailed, match="No such file"):
        notifier(file).check()
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(NotificationFailed, match="not UTF-8"):
        notifier(file).check()
    with pytest.raises(NotificationFailed, match="names nobody"):
        Notifier(urls="").check()
