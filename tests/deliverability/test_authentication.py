"""What a receiver concludes about a message: signed with a real key, and with everything that can be wrong with it."""

import base64
from collections.abc import Sequence
from functools import cache

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deliverability import authentication
from deliverability.authentication import Delivery, Signature, aligned
from deliverability.errors import LookupFailed
from deliverability.finding import Finding, Verdict

DOMAIN, SELECTOR = "send.example.com", "send"
MESSAGE = b"From: A <news@send.example.com>\nTo: you@example.net\nSubject: hello\nDate: today\n\nText.\n"


@cache
def pair() -> tuple[bytes, str]:
    """A private key in PEM, and its record."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem, f"v=DKIM1; h=sha256; k=rsa; p={base64.b64encode(public).decode()}"


def signed(message: bytes = MESSAGE, domain: str = DOMAIN, selector: str = SELECTOR) -> bytes:
    header: bytes = dkim.sign(message, selector.encode(), domain.encode(), pair()[0])
    return header.replace(b"\r\n", b"\n") + message


def lookup(name: str, kind: str) -> Sequence[str]:
    known = {
        (f"{SELECTOR}._domainkey.{DOMAIN}", "TXT"): [pair()[1]],
        ("send._domainkey.example.org", "TXT"): [pair()[1]],
        (DOMAIN, "TXT"): ["v=spf1 ip4:192.0.2.1 -all"],
        ("example.org", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"],
    }
    return known.get((name, kind), [])


def judge(message: bytes, peer: str = "192.0.2.1", mail_from: str = f"news@{DOMAIN}") -> dict[str, Finding]:
    got = Delivery(message, peer, "mta.example.com", mail_from)
    found = authentication.findings("mail", got, DOMAIN, SELECTOR, lookup)
    return {finding.check.removeprefix("mail: "): finding for finding in found}


def verdicts(message: bytes, peer: str = "192.0.2.1", mail_from: str = f"news@{DOMAIN}") -> list[str]:
    return [str(finding.verdict) for finding in judge(message, peer, mail_from).values()]


def test_no_more_than_the_topmost_signatures_are_checked() -> None:
    asked: list[str] = []

    def counting(name: str, kind: str) -> Sequence[str]:
        asked.append(name)
        return lookup(name, kind)

    message = signed().removesuffix(MESSAGE) * 1_000 + MESSAGE
    assert len(authentication.signatures(message, counting)) == authentication.SIGNATURES
    assert len(asked) == authentication.SIGNATURES


def test_signed_and_from_the_right_address() -> None:
    found = judge(signed())
    assert {str(finding.verdict) for finding in found.values()} == {"ok"}
    assert found["DKIM"].observed == f"valid, d={DOMAIN} s={SELECTOR}"
    assert found["DMARC"].observed == f"{DOMAIN}, {DOMAIN}"


def test_what_relays_add_above_does_not_matter() -> None:
    assert verdicts(b"Return-Path: <x@y>\nReceived: from a\n\tby b; now\n" + signed()) == ["ok", "ok", "ok"]


def test_unsigned_mail_is_aligned_by_spf_alone() -> None:
    assert verdicts(MESSAGE) == ["fail", "ok", "ok"]
    assert judge(MESSAGE)["DKIM"].observed == "not signed"


def test_a_changed_message_is_not_validly_signed() -> None:
    found = judge(signed().replace(b"hello", b"HELLO"))
    assert found["DKIM"].verdict is Verdict.FAIL
    assert found["DKIM"].observed.startswith("it does not fit the message and the published key")
    assert "body hash mismatch" in judge(signed().replace(b"Text.", b"Other."))["DKIM"].observed


def test_a_key_that_is_not_published_is_no_signature() -> None:
    assert judge(signed(selector="other"))["DKIM"].verdict is Verdict.FAIL


def test_from_another_address_only_the_signature_counts() -> None:
    assert verdicts(signed(), peer="192.0.2.2") == ["ok", "fail", "ok"]


def test_a_valid_signature_of_somebody_else_aligns_nothing() -> None:
    found = judge(signed(domain="example.org"), mail_from="news@example.org")
    assert [str(finding.verdict) for finding in found.values()] == ["fail", "ok", "fail"]
    assert found["DMARC"].observed == "nothing aligned"


def test_several_signatures_are_all_looked_at() -> None:
    both = signed(signed(domain="example.org"))
    assert authentication.signatures(both, lookup) == (
        Signature(DOMAIN, SELECTOR, ""),
        Signature("example.org", "send", ""),
    )
    assert judge(both)["DKIM"].verdict is Verdict.OK


@pytest.mark.parametrize("header", [b"v=1", b"", b"v=1; a=rsa-sha256; d=\xff; s=x; b=; bh=; h=from", b";;;=;"])
def test_a_header_that_is_no_signature_is_a_fault_and_no_crash(header: bytes) -> None:
    (found,) = authentication.signatures(b"DKIM-Signature: " + header + b"\n" + MESSAGE, lookup)
    assert found.fault


def test_dns_that_does_not_answer_proves_nothing() -> None:
    def silent(name: str, kind: str) -> Sequence[str]:
        raise LookupFailed(f"no answer for {name}")

    got = Delivery(signed(), "192.0.2.1", "mta.example.com", f"news@{DOMAIN}")
    (found,) = authentication.findings("mail", got, DOMAIN, SELECTOR, silent)
    assert found.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("domain", "author", "result"),
    [
        ("example.com", "send.example.com", True),
        ("send.example.com", "example.com", True),
        ("ample.com", "example.com", False),
        ("", "example.com", False),
        ("Example.COM", "example.com", True),
    ],
)
def test_alignment(domain: str, author: str, result: bool) -> None:
    assert aligned(domain, author) is result
