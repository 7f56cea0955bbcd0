"""What HestiaCP refuses, with its words and exit codes."""

import ipaddress
import re

from rehearsal.hestia import store
from rehearsal.hestia.call import Call, Code, Domain, Refused
from rehearsal.hestia.settings import USERS
from rehearsal.hestia.store import Fields

NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*")
NUMBER = re.compile(r"[0-9]+")
RESTARTS = ("yes", "no", "ssl", "reload", "updatessl", "scheduled", "")
TYPES = (
    *("A", "AAAA", "NS", "CNAME", "MX", "TXT", "SRV", "DNSKEY"),
    *("KEY", "IPSECKEY", "PTR", "SPF", "TLSA", "CAA", "DS"),
)
QUALIFIED = ("NS", "CNAME", "MX", "PTR", "SRV")
"""Types whose value is a name in full."""
DOTS = {"CNAME": 2, "MX": 2, "PTR": 2}
"""The least number of dots in such a name, the last one included; 3 in the others."""
PRIORITISED = ("MX", "SRV")
LONGEST_TXT = 65535


def well_formed(kind: str, value: str) -> None:
    """An argument of this kind. An empty one is never looked at."""
    right = {
        "user": NAME.fullmatch(value),
        "domain": NAME.fullmatch(value),
        "record": not re.search(r"[\s'\"`;&|<>()]", value),
        "rtype": value in TYPES,
        "id": NUMBER.fullmatch(value) and int(value) >= 1,
        "ttl": NUMBER.fullmatch(value),
        "priority": NUMBER.fullmatch(value),
        "restart": value in RESTARTS,
    }
    if value and not right[kind]:
        raise Refused(Code.INVALID, f"Error: invalid {kind} format :: {value}")


def valid_value(call: Call, rtype: str, value: str, priority: str) -> None:
    """The value as it would be stored."""
    if "\n" in value:
        raise Refused(Code.INVALID, f"Error: invalid dvalue format :: {value}")
    if rtype in PRIORITISED:
        well_formed("priority", priority)
    if rtype in ("A", "AAAA"):
        try:
            ipaddress.ip_address(value)
            right = ipaddress.ip_address(value).version == (4 if rtype == "A" else 6)
        except ValueError:
            right = False
        if not right:
            raise Refused(Code.INVALID, f"Error: invalid ip address format :: {value}")
    if rtype == "TXT" and call.settings.strict:
        text = value.strip('"')
        if not text or not text.isascii() or len(text) > LONGEST_TXT:
            raise Refused(Code.INVALID, "Error: dns record validation failed")


def system_enabled(call: Call) -> None:
    if not call.settings.dns_system:
        raise Refused(Code.DISABLED, "Error: DNS_SYSTEM is not enabled")


def domain_of(user: str, name: str) -> Domain:
    """The user's domain. Another user's does not exist either."""
    user_exists(user)
    if not Domain(user, name).facts:
        raise Refused(Code.NOTEXIST, f"Error: dns domain {name} doesn't exist")
    return Domain(user, name)


def user_exists(user: str) -> None:
    well_formed("user", user)
    if not user or not (USERS / user / "user.conf").exists():
        raise Refused(Code.NOTEXIST, f"Error: user {user} doesn't exist")


def normal(domain: str) -> str:
    """The name of a domain as HestiaCP reads it."""
    well_formed("domain", domain)
    return domain.lower().removeprefix("www.").rstrip(".")


def unsuspended_user(domain: Domain) -> None:
    user = store.parse(store.read(domain.home / "user.conf").replace("\n", " "))
    if user.get("SUSPENDED") == "yes":
        raise Refused(Code.SUSPENDED, f"Error: user {domain.user} is suspended")


def unsuspended_domain(domain: Domain) -> None:
    if domain.facts.get("SUSPENDED") == "yes":
        raise Refused(Code.SUSPENDED, f"Error: dns {domain.name} is suspended")


def record_of(domain: Domain, number: str) -> Fields:
    well_formed("id", number)
    record = domain.records.find(number)
    if not record:
        raise Refused(Code.NOTEXIST, f"Error: {domain.name} id {number} doesn't exist")
    return record


def room(domain: Domain) -> None:
    """The limit of the user's package, which holds for each domain."""
    user = store.parse(store.read(domain.home / "user.conf").replace("\n", " "))
    limit = user.get("DNS_RECORDS", "unlimited")
    if limit != "unlimited" and len(domain.records.all()) >= int(limit or 0):
        raise Refused(Code.LIMIT, "Error: DNS_RECORDS limit is reached :: upgrade user package")


def qualified(rtype: str, value: str) -> None:
    if rtype in QUALIFIED and value.count(".") < DOTS.get(rtype, 3):
        name = value.removesuffix(".")
        raise Refused(Code.INVALID, f"Error: {rtype} record {name} should be a fully qualified domain name (FQDN)")


def nameserver(domain: Domain, rtype: str, value: str) -> None:
    """A name server inside the domain needs an address there."""
    inside = f".{domain.name}."
    if rtype == "NS" and value.endswith(inside):
        name = value.removesuffix(inside)
        if not any(record["RECORD"] == name and record["TYPE"] == "A" for record in domain.records.all()):
            raise Refused(Code.NOTEXIST, f"Error: IN A {name}.{domain.name} does not exist")


def not_the_last(domain: Domain, rtype: str) -> None:
    if rtype in ("A", "NS") and sum(record["TYPE"] == rtype for record in domain.records.all()) <= 1:
        raise Refused(Code.INVALID, f"Error: at least one {rtype} record should remain active")


def no_alias_at_the_apex(record: str, rtype: str) -> None:
    if record == "@" and rtype == "CNAME":
        raise Refused(Code.INVALID, "Error: CNAME on root is not allowed")
