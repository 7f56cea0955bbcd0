"""Mail leaves the rehearsal estate by the address of its stream, and receivers keep or refuse it."""

import re
import sys
from collections.abc import Iterator

import estate_probes as probes
import pytest

from rehearsal import Estate, RehearsalError

pytestmark = pytest.mark.rehearsal


@pytest.fixture(autouse=True)
def normal_replies(estate: Estate) -> Iterator[None]:
    yield
    for name in ("microsoft", "google", "yahoo"):
        estate.receiver(name).clear()


@pytest.mark.parametrize(
    ("port", "recipient", "receiver", "peer", "helo"),
    [
        (25, "ops@contoso.com", "microsoft", "207.174.124.94", "mta05.performancewest.net"),
        (2526, "ops@contoso.com", "microsoft", "207.174.124.107", "hcmta01.performancewest.net"),
        (2528, "ops@contoso.com", "microsoft", "207.174.124.109", "hcmta03.performancewest.net"),
        (25, "someone@gmail.com", "google", "207.174.124.94", "mta05.performancewest.net"),
        (25, "someone@yahoo.com", "yahoo", "207.174.124.94", "mta05.performancewest.net"),
    ],
)
def test_mail_arrives_signed_from_the_address_of_its_stream(
    estate: Estate, port: int, recipient: str, receiver: str, peer: str, helo: str
) -> None:
    inbox = estate.receiver(receiver)
    probes.inject(estate.host("mta"), port, recipient)
    (message,) = probes.until(inbox.messages)
    assert (message["peer"], message["helo"]) == (peer, helo)
    assert message["mail_from"] == "noreply@send.performancewest.net"
    assert message["rcpt_to"] == [recipient]
    text = inbox.text(message)
    assert text.startswith(b"Return-Path: <noreply@send.performancewest.net>\nReceived: from " + helo.encode())
    signature = re.search(rb"^DKIM-Signature:(.*\n(?:[ \t].*\n)*)", text, re.MULTILINE)
    assert signature is not None
    assert b"d=send.performancewest.net" in signature[1]
    assert b"s=send;" in signature[1]
    verified = estate.host("mta").run(["opendkim-testmsg"], input=text.decode().replace("\n", "\r\n"))
    assert (verified.returncode, verified.stderr) == (0, "")
    tampered = text.decode().replace("hello", "hallo").replace("\n", "\r\n")
    assert estate.host("mta").run(["opendkim-testmsg"], input=tampered).returncode != 0


@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data", "end"])
def test_a_receiver_answers_as_told(estate: Estate, stage: str) -> None:
    inbox = estate.receiver("microsoft")
    reply = "451 4.7.500 Server busy"
    inbox.reply(**{stage: reply})
    probes.inject(estate.host("mta"), 25, f"{stage}@contoso.com")
    message = probes.until(inbox.messages)[-1]
    assert (message["reply"], message["file"]) == (reply, None)
    mta = estate.host("mta")

    def deferred() -> str:
        log = mta.run(["grep", f"to=<{stage}@contoso.com>", "/var/log/mail.log"]).stdout
        return log if "status=deferred" in log and "4.7.500" in log else ""

    assert "postfix/out05/smtp" in probes.until(deferred)
    assert list((inbox.folder / "new").iterdir()) == []
    mta.run(["postsuper", "-d", "ALL"])


@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data", "end"])
def test_a_receiver_that_hangs_up_still_logs_why(estate: Estate, stage: str) -> None:
    inbox = estate.receiver("yahoo")
    inbox.reply(**{stage: "421 4.7.0 [TSS04] Messages deferred\n421 4.7.0 see postmaster"})
    probes.inject(estate.host("mta"), 25, f"{stage}@yahoo.com")
    assert probes.until(inbox.messages)[0]["reply"].startswith("421 4.7.0 [TSS04]")
    estate.host("mta").run(["postsuper", "-d", "ALL"])


def test_a_reply_that_is_none_is_refused(estate: Estate) -> None:
    with pytest.raises(RehearsalError, match="stages are"):
        estate.receiver("microsoft").reply(rcpt="busy")
    with pytest.raises(RehearsalError, match="stages are"):
        estate.receiver("microsoft").reply(quit="451 4.7.1 no")


BAD_INPUT = """
import socket, sys
lines = {
    "nul": b"EHLO a\\r\\nMAIL FROM:<a@b\\0>\\r\\n",
    "binary": b"\\xff\\xfe\\xfd\\r\\n",
    "unknown": b"HACK me\\r\\n",
    "no name": b"EHLO\\r\\n",
    "sequence": b"EHLO a\\r\\nDATA\\r\\n",
    "bad path": b"EHLO a\\r\\nMAIL FROM: a b c\\r\\n",
    "long": b"NOOP " + b"x" * 200000 + b"\\r\\n",
    "smuggled": b"EHLO a\\r\\nMAIL FROM:<a@b>\\r\\nRCPT TO:<c@d>\\r\\nDATA\\r\\nhi\\n.\\nMAIL FROM:<e@f>\\r\\n.\\r\\n",
}
for name, line in lines.items():
    with socket.create_connection(("52.101.8.36", 25), 5) as s:
        answer = b""
        try:
            s.sendall(line)
            s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(4096):
                answer += chunk
        except OSError:
            pass
        print(name, "|", answer.decode().splitlines()[-1][:3] if answer else "reset")
"""


def test_a_receiver_survives_malformed_input(estate: Estate) -> None:
    done = estate.hub_run([sys.executable, "-I", "-c", BAD_INPUT])
    answers = dict(line.split(" | ") for line in done.stdout.splitlines())
    assert len(answers) == 8, done.stderr
    assert answers.pop("long") in ("421", "reset")
    assert {name: code[0] for name, code in answers.items()} == dict.fromkeys(answers, "5")
    inbox = estate.receiver("microsoft")
    assert [message for message in inbox.messages() if message["file"]] == []
    inbox.clear()
    probes.inject(estate.host("mta"), 25, "after@contoso.com")
    assert probes.until(inbox.messages)[0]["rcpt_to"] == ["after@contoso.com"]
