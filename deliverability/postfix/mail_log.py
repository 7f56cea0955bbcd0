"""Read delivery lines and bind warnings from a Postfix log. Source: Postfix 3.7 log_adhoc.c, smtp_connect.c (both run).

Both time stamps are read: RFC 3339 (rsyslog of Debian 12) and `Nov 24 23:34:41` (traditional, postlogd).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

MAX_LINE = 20_000
"""Longer lines are no delivery lines of Postfix (syslog cuts far earlier) and are skipped."""

_TIME = r"(?P<time>\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)"
_PREFIX = _TIME + r" (?P<host>\S+) (?P<program>[^\s\[\]:]+)\[\d+\]: "
_ADDRESS = r"(?:\"(?:[^\"\\]|\\.)*\"|[^\">])*"
_DELIVERY = re.compile(
    _PREFIX
    + r"(?P<queue_id>[0-9A-Za-z]{6,}): "
    + rf"to=<(?P<to>{_ADDRESS})>, (?:orig_to=<{_ADDRESS}>, )?"
    + r"relay=(?P<relay>[^,]*), (?:conn_use=\d+, )?delay=[\d.]+, delays=[\d./]+, "
    + r"dsn=(?P<dsn>\d\.\d{1,3}\.\d{1,3}), status=(?P<status>\w+) \((?P<text>.*)\)\s*"
)
_RELAY = re.compile(r"(?P<host>[^\[]*)\[(?P<ip>[^\]]*)\](?::\d+)?")
_BIND = re.compile(
    _PREFIX
    + r"(?:[0-9A-Za-z]{6,}: )?warning: smtp_connect_addr: bind (?P<address>\S+): Cannot assign requested address\s*"
)


_SIGNED = re.compile(
    _PREFIX + r"(?P<queue_id>[0-9A-Za-z]{6,}): DKIM-Signature field added \(s=(?P<s>[^,]+), d=(?P<d>[^)]+)\)\s*"
)


@dataclass(frozen=True)
class Delivery:
    """One attempt for one recipient.

    `relay_host` is empty for relay=none and `relay_ip` for a relay without an address. `status` is sent, deferred,
    bounced, ...; `text` is what stands in the parentheses: the other side's words, to be escaped wherever they go.
    """

    time: str
    host: str
    program: str
    queue_id: str
    to: str
    relay_host: str
    relay_ip: str
    dsn: str
    status: str
    text: str


def deliveries(lines: Iterable[str]) -> Iterator[Delivery]:
    """The delivery lines among `lines`, in their order."""
    for line in lines:
        delivery = parse_delivery(line)
        if delivery:
            yield delivery


def signatures(lines: Iterable[str], queue_id: str) -> list[tuple[str, str]]:
    """(d=, s=) of each signature that OpenDKIM says it has added to a message. Source: OpenDKIM 2.11 (run)."""
    matches = (_SIGNED.fullmatch(line) for line in lines if len(line) <= MAX_LINE)
    return [(match["d"], match["s"]) for match in matches if match and match["queue_id"] == queue_id]


def parse_delivery(line: str) -> Delivery | None:
    """The delivery that one log line reports, or None for any other line."""
    if len(line) > MAX_LINE or not (match := _DELIVERY.fullmatch(line)):
        return None
    host, ip = _relay(match["relay"])
    fields = match.groupdict()
    del fields["relay"]
    return Delivery(relay_host=host, relay_ip=ip, **fields)


def bind_warnings(lines: Iterable[str]) -> tuple[str, ...]:
    """The addresses Postfix could not bind to because the host does not have them, each once, in order of appearance.

    After such a warning the mail is sent all the same, from another address (unless smtp_bind_address_enforce=yes).
    """
    matches = (_BIND.fullmatch(line) for line in lines if len(line) <= MAX_LINE)
    return tuple(dict.fromkeys(match["address"] for match in matches if match))


def _relay(relay: str) -> tuple[str, str]:
    match = _RELAY.fullmatch(relay)
    if match is None:
        return ("", "") if relay == "none" else (relay, "")
    try:
        return match["host"], str(ip_address(match["ip"]))
    except ValueError:
        return match["host"], ""
