"""What a receiver concludes about a message it was handed: SPF, DKIM and DMARC. Source: RFC 7208, 6376, 9989."""

import email
import email.policy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.utils import parseaddr

import dkim

from deliverability.dns import spf
from deliverability.dns.spf import Lookup
from deliverability.errors import LookupFailed
from deliverability.finding import Finding, Verdict, judged

SIGNATURES = 10
_QUIET = logging.Logger("dkimpy", logging.CRITICAL)
"""What it has to say is in the finding."""


@dataclass(frozen=True)
class Delivery:
    """A message as a receiver got it: its bytes, the peer's address and HELO, and the MAIL FROM address."""

    message: bytes
    peer: str
    helo: str
    mail_from: str


@dataclass(frozen=True)
class Signature:
    """One DKIM signature: d= and s=, and why it is not valid ("" if it is)."""

    domain: str
    selector: str
    fault: str


def signatures(message: bytes, lookup: Lookup) -> tuple[Signature, ...]:
    """The topmost signatures of a message. Raises LookupFailed if a key cannot be asked for.

    RFC 6376 section 6.1 lets a verifier stop: each takes a question to DNS and a walk over the whole message.
    """
    head = BytesHeaderParser(policy=email.policy.compat32).parsebytes(message)
    count = min(SIGNATURES, len(head.get_all("DKIM-Signature", [])))
    return tuple(_signature(message, index, lookup) for index in range(count))


def _signature(message: bytes, index: int, lookup: Lookup) -> Signature:
    check = dkim.DKIM(message, logger=_QUIET)
    try:
        valid = check.verify(index, dnsfunc=_asking(lookup))
        fault = "" if valid else "it does not fit the message and the published key"
    except (dkim.DKIMException, ValueError) as error:
        fault = str(error)[:200] or type(error).__name__
    # Set as soon as the fields of the signature were read; until then there is no domain.
    domain = bytes(check.domain or b"").decode("ascii", "replace")
    return Signature(domain.lower(), bytes(check.selector).decode("ascii", "replace") if domain else "", fault)


def _asking(lookup: Lookup) -> Callable[..., bytes | None]:
    def ask(name: bytes, timeout: int = 5) -> bytes | None:
        answers = lookup(name.decode("ascii", "replace").rstrip("."), "TXT")
        return answers[0].encode() if answers else None

    return ask


def aligned(domain: str, author: str) -> bool:
    """Whether a domain speaks for the one in From: the same, or one above or below it.

    Relaxed alignment (RFC 9989) but for siblings, which would take a walk through DNS to tell.
    """
    left, right = f".{domain.lower()}", f".{author.lower()}"
    return bool(domain) and (left.endswith(right) or right.endswith(left))


def findings(name: str, got: Delivery, domain: str, selector: str, lookup: Lookup) -> list[Finding]:
    """What must be true of the mail of a stream that is signed with this selector in this domain."""
    headers = email.message_from_bytes(got.message, policy=email.policy.compat32)
    author = parseaddr(str(headers.get("From", "")))[1].rpartition("@")[2].lower()
    try:
        found = signatures(got.message, lookup)
        result = spf.evaluate(got.peer, got.mail_from.rpartition("@")[2], lookup, sender=got.mail_from, helo=got.helo)
    except LookupFailed as error:
        return [Finding(check=f"{name}: authentication", verdict=Verdict.UNKNOWN, observed=error.fact)]
    wanted = f"valid, d={domain} s={selector}"
    good = [one for one in found if not one.fault and (one.domain, one.selector) == (domain, selector)]
    passing = [one.domain for one in found if not one.fault]
    if result.verdict is spf.Verdict.PASS:
        passing.append(got.mail_from.rpartition("@")[2])
    who = [one for one in passing if aligned(one, author)]
    return [
        judged(f"{name}: DKIM", bool(good), wanted, " | ".join(map(_told, found)) or "not signed", got.peer),
        judged(
            f"{name}: SPF of MAIL FROM",
            result.verdict is spf.Verdict.PASS,
            "pass",
            f"{result.verdict} for {got.mail_from}",
            got.peer,
        ),
        judged(
            f"{name}: DMARC", bool(who), f"aligned with From {author}", ", ".join(who) or "nothing aligned", got.peer
        ),
    ]


def _told(one: Signature) -> str:
    return f"{one.fault or 'valid'}, d={one.domain} s={one.selector}"
