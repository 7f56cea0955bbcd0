"""The commands that write. On success they print nothing; what is written stays when a later step fails."""

import re
import sys
import time
from datetime import datetime

from rehearsal.hestia import checks, zone
from rehearsal.hestia.call import Call, Code, Domain, Refused
from rehearsal.hestia.store import Fields

UNQUOTED = ("SRV", "DNSKEY", "DS", "TLSA", "KEY", "IPSECKEY")
DEFAULT_PRIORITY = "10"


def add(call: Call) -> int:
    user, name, record, rtype, value, priority, number, restart, ttl, quiet = call.take(10)
    # idn2 takes a name with a dash in front for an option: it complains, and nothing is left of the name
    if record.startswith("-"):
        print(f"idn2: unrecognized option '{record}'", file=sys.stderr)
        record = ""
    record, rtype = record.lower(), rtype.upper()
    priority = (priority or DEFAULT_PRIORITY) if rtype in checks.PRIORITISED else ""
    value = stored(rtype, value)
    checks.no_alias_at_the_apex(record, rtype)
    name = checks.normal(name)
    checks.well_formed("user", user)
    checks.well_formed("record", record)
    checks.well_formed("rtype", rtype)
    checks.valid_value(call, rtype, value, priority)
    checks.system_enabled(call)
    domain = checks.domain_of(user, name)
    checks.unsuspended_user(domain)
    checks.unsuspended_domain(domain)
    checks.room(domain)
    number = free_number(call, domain, number)
    checks.qualified(rtype, value)
    checks.nameserver(domain, rtype, value)
    checks.well_formed("ttl", ttl)
    checks.well_formed("restart", restart)
    domain.records.add(entry(number, record, rtype, priority, value, ttl))
    zone.new_serial(call, domain)
    zone.rebuild(call, domain)
    zone.queue_for_cluster(call, domain, f"v-add-remote-dns-record {user} {name} {number}")
    domain.count(+1)
    if not zone.restart(call, restart):
        # Code and text are the wrong way round in the real one: it prints the code, and exits with the text.
        print(f"Error: {Code.RESTART:d}")
        print("func/main.sh: exit: dns failed to restart: numeric argument required", file=sys.stderr)
        call.log("dns failed to restart")
        return Code.INVALID
    if quiet != "yes":
        domain.note(f"Added DNS record (Type: {rtype}, Value: {record}, Domain: {name}).")
    call.log()
    return Code.OK


def change(call: Call) -> int:
    user, name, number, record, rtype, value, priority, restart, ttl = call.take(9)
    checks.well_formed("id", number)
    checks.well_formed("record", record)
    checks.well_formed("restart", restart)
    domain = writable(call, user, name)
    checks.unsuspended_user(domain)
    checks.unsuspended_domain(domain)
    old = checks.record_of(domain, number)
    checks.well_formed("ttl", ttl)
    checks.no_alias_at_the_apex(record, rtype)
    rtype = rtype or old["TYPE"]
    priority = (priority or old["PRIORITY"]) if rtype in checks.PRIORITISED else ""
    value = stored(rtype, value)
    checks.well_formed("rtype", rtype)
    checks.valid_value(call, rtype, value, priority)
    checks.qualified(rtype, value)
    checks.nameserver(domain, rtype, value)
    new = entry(number, record, rtype, priority, value, ttl)
    if essence(new) == essence(old):
        print("No pending changes in DNS entry.")
        return Code.EXISTS
    domain.records.remove(number)
    domain.records.add(new)
    zone.new_serial(call, domain)
    zone.rebuild(call, domain)
    zone.queue_for_cluster(call, domain, f"v-add-remote-dns-domain {user} {name} records")
    message = f"DNS record value changed (Type: {rtype}, Record: {record}, Value: {value}, Domain: {name})."
    return end(call, domain, restart, message)


def delete(call: Call) -> int:
    user, name, number, restart, quiet = call.take(5)
    checks.well_formed("restart", restart)
    domain = writable(call, user, name)  # of a suspended user too
    checks.not_the_last(domain, checks.record_of(domain, number)["TYPE"])
    domain.records.remove(number)
    zone.new_serial(call, domain)
    zone.rebuild(call, domain)
    zone.queue_for_cluster(call, domain, f"v-delete-remote-dns-record {user} {name} {number}")
    domain.count(-1)
    return end(call, domain, restart, "" if quiet == "yes" else f"Deleted DNS record (ID: {number}, Domain: {name}).")


def suspend(call: Call) -> int:
    """The real one lacks the function that rebuilds the zone: the record stays published until the next write."""
    user, name, number, _restart = call.take(4)
    domain = writable(call, user, name)
    checks.unsuspended_domain(domain)
    if checks.record_of(domain, number)["SUSPENDED"] == "yes":
        raise Refused(Code.SUSPENDED, f"Error: {domain.name} {number} is suspended")
    domain.records.update(number, {"SUSPENDED": "yes"})
    zone.new_serial(call, domain)
    print(f"{call.command}: rebuild_dns_domain_conf: command not found", file=sys.stderr)
    zone.queue_for_cluster(call, domain, f"v-add-remote-dns-record {user} {name} {number}")
    domain.note(f"Suspended DNS record (ID: {number}, Domain: {name}).")
    call.log()
    return Code.OK


def unsuspend(call: Call) -> int:
    user, name, number, restart = call.take(4)
    domain = writable(call, user, name)
    if checks.record_of(domain, number)["SUSPENDED"] != "yes":
        raise Refused(Code.UNSUSPENDED, f"Error: {domain.name} {number} is not suspended")
    domain.records.update(number, {"SUSPENDED": "no"})
    zone.new_serial(call, domain)
    zone.rebuild(call, domain)
    return end(call, domain, restart, f"Unsuspended DNS record (ID: {number}, Domain: {name}).")


def rebuild(call: Call) -> int:
    user, name, restart, update_serial = call.take(4)
    checks.well_formed("restart", restart)
    domain = writable(call, user, name)
    if update_serial != "no":
        zone.new_serial(call, domain)
    zone.rebuild(call, domain)
    return end(call, domain, restart, "")


def change_dnssec(call: Call) -> int:
    user, name, status = call.take(3)
    domain = writable(call, user, name)
    if call.settings.cluster and call.settings.cluster_system != "hestia-zone":
        raise Refused(Code.DISABLED, "Error: DNSSEC not supported when DNS_CLUSTER_SYSTEM is not hestia-zone")
    if status not in ("yes", "no"):
        raise Refused(Code.INVALID, f"Error: invalid status format :: {status}")
    domain.domains.update(domain.name, {"DNSSEC": status, "KEY": ""})
    zone.new_serial(call, domain)
    zone.rebuild(call, domain)
    return end(call, domain, "", f"DNSSEC changed to {status} for {name}.")


def writable(call: Call, user: str, name: str) -> Domain:
    name = checks.normal(name)
    checks.system_enabled(call)
    return checks.domain_of(user, name)


def end(call: Call, domain: Domain, restart: str, message: str) -> int:
    """The restart comes after the write, and its failure keeps the write out of the logs."""
    if not zone.restart(call, restart):
        call.log(Code.RESTART)
        return Code.RESTART
    if message:
        domain.note(message)
    call.log()
    return Code.OK


def stored(rtype: str, value: str) -> str:
    """A value as it is written to the file: all quotes away, one pair around what has a blank or a semicolon."""
    if rtype in checks.QUALIFIED and not value.endswith("."):
        value += "."
    if rtype != "CAA":
        value = value.replace('"', "")
        if rtype not in UNQUOTED and re.search(r"[;\s]", value):
            value = f'"{value}"'
    return value.replace("'", zone.QUOTE)


def free_number(call: Call, domain: Domain, wanted: str) -> str:
    """The ID asked for, or the one above the highest. Nothing keeps another from taking it before we write it."""
    number = wanted or str(1 + max((int(record["ID"]) for record in domain.records.all()), default=0))
    time.sleep(call.settings.gap_seconds)
    checks.well_formed("id", number)
    if domain.records.find(number):
        raise Refused(Code.EXISTS, f"Error: ID={number} already exists")
    time.sleep(call.settings.gap_seconds)
    return number


def entry(number: str, record: str, rtype: str, priority: str, value: str, ttl: str) -> Fields:
    now = datetime.now()
    fields = {"ID": number, "RECORD": record, "TYPE": rtype, "PRIORITY": priority, "VALUE": value}
    fields |= {"SUSPENDED": "no", "TIME": f"{now:%T}", "DATE": f"{now:%F}"}
    return fields | ({"TTL": ttl} if ttl else {})


def essence(record: Fields) -> Fields:
    """What a change has to differ in. No TTL is one of 0 to the shell that compares them."""
    kept = {key: record[key] for key in ("RECORD", "TYPE", "VALUE", "SUSPENDED")}
    return kept | {key: record.get(key) or "0" for key in ("PRIORITY", "TTL")}
