"""Whether all servers say the same of a name: the master, its slaves, and the resolvers that others ask.

A server that did not answer is unknown: it neither agrees nor lags. Source: RFC 1982 (serials), RFC 2308 (negative
answers are cached, so resolvers come last).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from deliverability.finding import Finding, Verdict

SHOWN = 160
"""Characters of a value in a finding."""

HALF = 2**31
SPACE = 2**32


class Role(StrEnum):
    MASTER = "master"
    SLAVE = "slave"
    RESOLVER = "resolver"


@dataclass(frozen=True)
class Server:
    """Whom to ask: `name` as the estate has it, an IP address, a port."""

    name: str
    address: str
    role: Role
    port: int = 53


@dataclass(frozen=True)
class Expected:
    """What a name should say: all values of one type, whole and unsplit, in any order; none: it should not be there.

    `before` is what it said until now, which a resolver may go on saying until its memory of it ends.
    """

    name: str
    kind: str
    values: frozenset[str]
    before: frozenset[str] | None = None


@dataclass(frozen=True)
class Answer:
    """What one server said. `values` is None if it did not answer, and `error` says why.

    `serial` is the zone's there (None from a resolver), `authentic` whether a resolver vouches for the signatures,
    `ttl` for how many seconds a resolver will go on saying this.
    """

    server: Server
    values: frozenset[str] | None
    serial: int | None = None
    authentic: bool = False
    ttl: int = 0
    error: str = ""


def is_newer(serial: int, than: int) -> bool:
    """Serials are numbers on a circle (RFC 1982 3.2): after 2^32 - 1 comes 0. Half-way round is neither: False."""
    return 0 < (serial - than) % SPACE < HALF


def lagging(expected: Expected, answers: Sequence[Answer]) -> list[Answer]:
    """Those that answer, and say something else, resolvers that only remember left out: they are right to."""
    return [answer for answer in answers if answer.values not in (None, expected.values) and not _old(expected, answer)]


def _old(expected: Expected, answer: Answer) -> bool:
    return answer.server.role is Role.RESOLVER and answer.values == expected.before and answer.ttl > 0


def findings(expected: Expected, answers: Sequence[Answer], signed: bool, at: str) -> list[Finding]:
    """One a server. `signed`: the zone is, and a resolver that does not vouch for the answer is a warning."""
    master = max((a.serial for a in answers if a.server.role is Role.MASTER and a.serial is not None), default=None)
    return [_finding(expected, answer, master, signed, at) for answer in answers]


def _finding(expected: Expected, answer: Answer, master: int | None, signed: bool, at: str) -> Finding:
    verdict, observed = _judge(expected, answer, master, signed)
    return Finding(
        check=f"{expected.name} {expected.kind} at {answer.server.name}",
        verdict=verdict,
        expected=_told(expected, expected.values),
        observed=observed,
        where=f"{answer.server.role} {answer.server.address}",
        at=at,
    )


def _judge(expected: Expected, answer: Answer, master: int | None, signed: bool) -> tuple[Verdict, str]:
    if answer.values is None:
        return Verdict.UNKNOWN, answer.error
    if answer.values != expected.values and _old(expected, answer):
        told = _told(expected, answer.values)
        return Verdict.WARNING, f"{told}: the old answer, which it remembers for {answer.ttl} s more"
    if answer.values != expected.values:
        behind = ""
        if answer.serial is not None and master is not None and is_newer(master, answer.serial):
            behind = f"; its serial {answer.serial} is behind the master's {master}"
        return Verdict.FAIL, f"{_told(expected, answer.values)}{behind}"
    if signed and answer.server.role is Role.RESOLVER and not answer.authentic:
        return Verdict.WARNING, f"{_told(expected, answer.values)}; not authenticated by DNSSEC"
    return Verdict.OK, _told(expected, answer.values)


def _told(expected: Expected, values: frozenset[str]) -> str:
    """The values, without those beside them that were there before and are to stay."""
    beside = expected.values & (expected.before or frozenset())
    return " | ".join(map(_short, sorted(values - beside))) or "nothing"


def _short(value: str) -> str:
    """Enough to tell it by: a key has 420 characters, and is told for each server."""
    return value if len(value) <= SHOWN else f"{value[: SHOWN // 2]}...{value[-SHOWN // 4 :]} ({len(value)} characters)"
