"""From the records of a domain to what BIND publishes."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime

from rehearsal.hestia import store
from rehearsal.hestia.call import Call, Domain
from rehearsal.hestia.settings import BIN, KEYS, NAMED_CONF, QUEUE
from rehearsal.hestia.store import Fields

CHUNK = 255
FIRST_COUNT, LAST_COUNT = 3_000_000_000, 4_294_967_295
QUOTE = "%quote%"
"""Stands for a single quote in the files, where that ends a value."""


def new_serial(call: Call, domain: Domain) -> None:
    serial = counted(domain.facts.get("SERIAL", "")) if call.settings.counts_serials else dated(domain)
    domain.domains.update(domain.name, {"SERIAL": serial})


def counted(serial: str) -> str:
    """The next of 1.10: a counter. A date, YYYYMMDDNN, is left for the counter's start, which is above it."""
    if not serial.isdigit() or re.fullmatch(r"20\d{8}", serial):
        return str(FIRST_COUNT)
    return str(1 if int(serial) >= LAST_COUNT else int(serial) + 1)


def dated(domain: Domain) -> str:
    """The next of 1.9: today and a number, read from the zone file. The hundredth has a digit too many for BIND."""
    today = f"{datetime.now():%Y%m%d}"
    found = re.search(r"SOA.*\n\s*(\d+)", store.read(domain.zone_file)) if domain.zone_file.exists() else None
    if found and found[1].startswith(today):
        return f"{today}{int(found[1][8:] or 0) + 1:02d}"
    return f"{today}01"


def rebuild(call: Call, domain: Domain) -> None:
    """Write the zone file anew, line by line into the file itself, and tell BIND. Whether it takes it, nobody asks."""
    domain.records.sort()
    write_zone_file(call, domain)
    declare(domain)
    domain.domains.update(domain.name, {"RECORDS": str(len(domain.records.all()))})
    rndc("reconfig")
    rndc("reload", domain.name)
    if domain.facts.get("DNSSEC") == "yes":
        keep_key(domain)
    rndc("notify", domain.name)


def write_zone_file(call: Call, domain: Domain) -> None:
    facts = domain.facts
    refresh, minimum = (14400, 3600) if call.settings.counts_serials else (7200, 180)
    head = f"$TTL {facts['TTL']}\n@    IN    SOA    {facts['SOA']}.    root.{domain.name}. (\n"
    numbers = (facts["SERIAL"], refresh, 3600, 1209600, f"{minimum} )")
    head += "".join(f"{' ' * 44}{number}\n" for number in numbers)
    domain.zone_file.parent.mkdir(parents=True, exist_ok=True)
    records = domain.records.all()
    pause = call.settings.rebuild_seconds / max(1, len(records))
    with domain.zone_file.open("w", errors="surrogateescape") as file:
        file.write(head + "\n")
        for line in lines(call, records, facts["TTL"]):
            time.sleep(pause)
            file.write(line)
            file.flush()


def lines(call: Call, records: list[Fields], default_ttl: str) -> Iterator[str]:
    """A line for every record that is not suspended.

    The eval of 1.9.4 fails at a quote, and the variable keeps what it held before. We read "later records wrong" as:
    the variable is not set again in this loop, so this record and all after it get the value of the one before.
    """
    kept: str | None = None
    last = ""
    for record in records:
        value = record["VALUE"]
        if not call.settings.strict and kept is None and QUOTE in value:
            print("func/domain.sh: eval: unexpected EOF while looking for matching `''", file=sys.stderr)
            kept = last
        if not call.settings.strict:
            value = re.sub(r"\\(.)", r"\1", value)  # its `read` takes them away; 1.10.3 leaves them
        last = value if kept is None else kept
        if record["SUSPENDED"] != "yes":
            # idn2, which every name goes through, takes one with a dash in front for an option and says nothing
            name = "" if record["RECORD"].startswith("-") else record["RECORD"]
            text = chunked(last) if record["TYPE"] == "TXT" else last
            fields = (name, record.get("TTL") or default_ttl, "IN", record["TYPE"], record["PRIORITY"], text)
            yield "\t".join(fields).replace(QUOTE, "'") + "\n"


def chunked(value: str) -> str:
    """A long text as strings of 255 bytes. `xargs` drops the blanks that a string begins with."""
    if len(value) <= CHUNK:
        return value
    text = value.removeprefix('"').removesuffix('"').encode(errors="surrogateescape")
    chunks = (text[start : start + CHUNK].lstrip(b" \t") for start in range(0, len(text), CHUNK))
    return "".join(f'"{chunk.decode(errors="surrogateescape")}"' for chunk in chunks if chunk)


def declare(domain: Domain) -> None:
    """The zone statement, in one line, and who may write: BIND itself where it keeps a signed copy."""
    signed = domain.facts.get("DNSSEC") == "yes"
    if signed:
        for stale in domain.zone_file.parent.glob(f"{domain.name}.db.*"):
            stale.unlink(missing_ok=True)
    shutil.chown(domain.zone_file, "bind" if signed else "root", "bind")
    domain.zone_file.chmod(0o640)
    shutil.chown(domain.zone_file.parent, "root", "bind")
    domain.zone_file.parent.chmod(0o771)
    policy = " in {type master; dnssec-policy default; inline-signing yes; file" if signed else " {type master; file"
    text = store.read(NAMED_CONF)
    others = [line for line in text.splitlines() if f"dns/{domain.name}.db" not in line]
    store.write(NAMED_CONF, "\n".join([*others, f'zone "{domain.name}"{policy} "{domain.zone_file}";}};', ""]))


def keep_key(domain: Domain) -> None:
    """The tag of the signing key and a copy of its files, in the user's own."""
    for key in sorted(KEYS.glob(f"K{domain.name}.+013+*.key"))[-1:]:
        keys = domain.home / "keys"
        keys.mkdir(exist_ok=True)
        for file in KEYS.glob(f"{key.stem}.*"):
            shutil.copy(file, keys)
        domain.domains.update(domain.name, {"KEY": key.stem.rpartition("+")[2]})


def restart(call: Call, how: str) -> bool:
    """The last step of every write, and the only one whose failure is told: with the write done."""
    if how == "no":
        return True
    if how == "scheduled":
        store.append(QUEUE / "restart.pipe", f"{BIN}/v-restart-dns now")
        return True
    if not call.settings.restart_fails and rndc("reload"):
        return True
    print("Error: bind9 restart failed'")
    return False


def queue_for_cluster(call: Call, domain: Domain, command: str) -> None:
    """HestiaCP's own slaves are told from a queue, unless the whole domain is in it already."""
    queue = QUEUE / "dns-cluster.pipe"
    waiting = store.read(queue) if queue.exists() else ""
    if call.settings.cluster and f"domain {domain.user} {domain.name}" not in waiting:
        store.append(queue, f"{BIN}/{command}")


def rndc(*arguments: str) -> bool:
    return subprocess.run(["/usr/sbin/rndc", *arguments], capture_output=True, check=False).returncode == 0
