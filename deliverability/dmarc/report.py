"""What an aggregate report says. Source: RFC 7489 appendix C, RFC 9990 section 3."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Dkim(NamedTuple):
    """One signature that the receiver checked."""

    domain: str
    selector: str
    result: str


class Spf(NamedTuple):
    """One identity that the receiver checked; `scope` is mfrom or helo."""

    domain: str
    scope: str
    result: str


class Reason(NamedTuple):
    """Why the receiver did otherwise than the policy says."""

    kind: str
    comment: str


class Record(NamedTuple):
    """Messages from one address that had the same outcome. All text is the reporter's, cut to the field's length."""

    source_ip: str
    """IPv4 or IPv6, in its one canonical form."""
    messages: int
    disposition: str
    """none, quarantine, reject, or pass (RFC 9990); "" if it is missing."""
    dkim_aligned: bool
    spf_aligned: bool
    header_from: str
    envelope_from: str
    envelope_to: str
    dkim: tuple[Dkim, ...]
    spf: tuple[Spf, ...]
    reasons: tuple[Reason, ...]

    @property
    def passed(self) -> bool:
        return self.dkim_aligned or self.spf_aligned


@dataclass(frozen=True)
class Header:
    """Who reports what: everything of a report but its records."""

    org_name: str
    """The name the reporter gives itself; the domain of `email` if it gives none."""
    email: str
    report_id: str
    begin: int
    """Unix seconds, UTC; the report's time begins here..."""
    end: int
    """...and ends here, never before `begin`."""
    domain: str
    """The domain whose policy was looked up."""
    policy: Mapping[str, str] = field(default_factory=dict)
    """What the reporter found published: p, sp, np, adkim, aspf, pct, fo, testing, discovery_method."""
    error: str = ""
    generator: str = ""
