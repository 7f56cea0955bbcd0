"""What DNS servers can do wrong, on the loopback: an answer that proves nothing is unknown, and is said."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from blocks import dns_servers
from blocks.dns_servers import DnsServers
from deliverability.dns.agreement import Answer, Expected, Role, Server

NAME, ZONE = "send.example.com", "example.com"
SPF = "v=spf1 -all"
Wire = Callable[[dns.message.Message], bytes | None]


def good(question: dns.message.Message) -> bytes:
    answer = dns.message.make_response(question)
    (asked,) = question.question
    told = "a. b. 7 1 1 1 1" if asked.rdtype == dns.rdatatype.SOA else f'"{SPF}"'
    answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype, told))
    return answer.to_wire()


def code(number: dns.rcode.Rcode) -> Wire:
    def answer(question: dns.message.Message) -> bytes:
        response = dns.message.make_response(question)
        response.set_rcode(number)
        return response.to_wire()

    return answer


def truncated(question: dns.message.Message) -> bytes:
    response = dns.message.make_response(question)
    response.flags |= dns.flags.TC
    return response.to_wire()


def silent(question: dns.message.Message) -> None:
    return None


def nonsense(question: dns.message.Message) -> bytes:
    return question.to_wire()[:2] + b"\x80\x00\xff\xff"


def of_another_question(question: dns.message.Message) -> bytes:
    return good(dns.message.make_query("other.example.com", "TXT"))


@contextmanager
def server(answer: Wire, role: Role = Role.RESOLVER) -> Iterator[Server]:
    """A name server that answers over UDP only."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.bind(("127.0.0.1", 0))
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(door, answer, over))
        thread.start()
        port = door.getsockname()[1]
        try:
            yield Server(f"s{port}", "127.0.0.1", role, port)
        finally:
            over.set()
            door.sendto(b"", ("127.0.0.1", port))
            thread.join()


def _serve(door: socket.socket, answer: Wire, over: threading.Event) -> None:
    while True:
        data, peer = door.recvfrom(4096)
        if over.is_set():
            return
        if (wire := answer(dns.message.from_wire(data))) is not None:
            door.sendto(wire, peer)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_servers, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(dns_servers, "ROUND_SECONDS", 0.1)


def asked(*answers: Wire) -> list[Answer]:
    with ExitStack() as stack:
        servers = tuple(stack.enter_context(server(answer)) for answer in answers)
        return DnsServers(zone=ZONE, servers=servers).ask(NAME, "TXT")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (code(dns.rcode.SERVFAIL), "SERVFAIL"),  # of a resolver: down, or what it got is bogus
        (code(dns.rcode.REFUSED), "REFUSED"),  # lame
        (truncated, "no answer"),  # and nobody listens for TCP
        (silent, "no answer"),
        (nonsense, "no answer"),
        (of_another_question, "no answer"),
    ],
)
def test_what_is_no_answer_is_unknown_and_says_why(answer: Wire, says: str) -> None:
    bad, fine = asked(answer, good)
    assert bad.values is None
    assert bad.error.startswith(says)
    assert fine.values == {SPF}, "the others are asked all the same"


def test_that_there_is_no_such_name_is_an_answer() -> None:
    (answer,) = asked(code(dns.rcode.NXDOMAIN))
    assert (answer.values, answer.error) == (frozenset(), "")


def test_a_server_that_does_not_tell_its_serial_is_unknown() -> None:
    def half(question: dns.message.Message) -> bytes | None:
        return None if question.question[0].rdtype == dns.rdatatype.SOA else good(question)

    with server(half, Role.SLAVE) as slave:
        (answer,) = DnsServers(zone=ZONE, servers=(slave,)).ask(NAME, "TXT")
    assert answer.values is None


def test_one_that_never_agrees_is_waited_for_until_the_deadline_and_named() -> None:
    said: list[str] = []
    with server(good) as fine, server(code(dns.rcode.NXDOMAIN)) as behind, server(silent) as dead:
        servers = DnsServers(zone=ZONE, servers=(fine, behind, dead))
        expected = Expected(NAME, "TXT", frozenset({SPF}))
        answers = servers.wait(expected, 1.0, said.append)
    assert [answer.values for answer in answers] == [{SPF}, frozenset(), None]
    assert f"{NAME} TXT: waiting for {behind.name}, {dead.name}" in said
