"""Whose report it is: anybody may mail one in anybody's name."""

import pytest

from deliverability.authentication import Signature
from deliverability.dmarc import trust
from deliverability.dmarc.mail import parse
from tests.deliverability.dmarc.written import mail

OURS = ("co.carrierone.com",)
PASS = "co.carrierone.com; dmarc=pass (p=reject dis=none) header.from=google.com"


def sender(
    *results: str,
    ids: tuple[str, ...] = OURS,
    signatures: tuple[Signature, ...] = (),
    author: str = "noreply@google.com",
) -> str:
    raw = mail(sender=author)
    raw = b"".join(f"Authentication-Results: {one}\n".encode() for one in results) + raw
    return trust.sender(parse(raw), ids, lambda: signatures)


@pytest.mark.parametrize(
    "result",
    [
        PASS,
        "co.carrierone.com;\n\tdkim=fail header.d=other.example;\n\tdkim=pass (a comment) header.d=google.com",
        "CO.CarrierOne.com 1; spf=pass smtp.mailfrom=noreply@mail.google.com",
        "co.carrierone.com; dkim=pass header.d=google.com; dmarc=fail header.from=google.com",
    ],
)
def test_what_our_own_mx_found(result: str) -> None:
    assert sender(result) == "google.com"


@pytest.mark.parametrize(
    "result",
    [
        "mx.forger.example; dmarc=pass header.from=google.com",
        "co.carrierone.com; dmarc=fail header.from=google.com",
        "co.carrierone.com; dkim=pass header.d=forger.example",
        "co.carrierone.com; spf=pass smtp.mailfrom=x@forgedgoogle.com",
        "co.carrierone.com; none",
        "co.carrierone.com (comment; dmarc=pass header.from=google.com",
        "co.carrierone.com; dmarc=pass" + " (x)" * 10_000,
        "co.carrierone.com; dmarc=pass " + "(" * 8_000,
        "",
        "; = ;",
    ],
)
def test_what_proves_nothing(result: str) -> None:
    assert sender(result) == ""


def test_only_the_topmost_is_our_mx() -> None:
    assert sender("mx.forger.example; none", PASS) == ""
    assert sender(PASS, "mx.forger.example; none") == "google.com"


def test_without_a_name_of_ours_nothing_is_believed() -> None:
    assert sender(PASS, ids=()) == ""


def test_a_signature_of_the_author_proves_it() -> None:
    assert sender(signatures=(Signature("google.com", "s", ""),)) == "google.com"
    assert sender(signatures=(Signature("google.com", "s", "it does not fit"),)) == ""
    assert sender(signatures=(Signature("forger.example", "s", ""),)) == ""


@pytest.mark.parametrize("author", ["", "nobody", "a@google.com, b@forger.example"])
def test_without_one_author_there_is_no_sender(author: str) -> None:
    assert sender(PASS, author=author) in ("", "google.com" if author.startswith("a@") else "")


def test_two_authors_are_none() -> None:
    raw = b"From: a@google.com\nFrom: b@forger.example\nAuthentication-Results: " + PASS.encode() + b"\n\nx"
    assert trust.sender(parse(raw), OURS, lambda: ()) == ""


@pytest.mark.parametrize("depth", [400, 5_000])
def test_comments_in_comments_are_no_author(depth: int) -> None:
    raw = b"From: " + b"(" * depth + b"a@google.com\nAuthentication-Results: " + PASS.encode() + b"\n\nx"
    assert trust.sender(parse(raw), OURS, lambda: ()) == ""
