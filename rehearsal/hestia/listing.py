"""The commands that list. An unknown format is no error: nothing is printed."""

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rehearsal.hestia import checks
from rehearsal.hestia.call import Call, Code, Domain
from rehearsal.hestia.settings import KEYS
from rehearsal.hestia.store import Fields
from rehearsal.hestia.zone import QUOTE

Printer = Callable[[], str]

RECORD = ("ID", "RECORD", "TYPE", "PRIORITY", "VALUE", "SUSPENDED", "TIME", "DATE", "TTL")
RECORD_JSON = ("RECORD", "TYPE", "PRIORITY", "VALUE", "ID", "SUSPENDED", "TIME", "DATE", "TTL")
RECORD_SHELL = ("ID", "RECORD", "TYPE", "VALUE", "DATE", "TTL")
DOMAIN = ("DOMAIN", "IP", "TPL", "TTL", "EXP", "SOA", "SERIAL", "DNSSEC", "RECORDS", "SUSPENDED", "TIME", "DATE")
DOMAIN_JSON = ("IP", "TPL", "TTL", "EXP", "SOA", "SERIAL", "DNSSEC", "SRC", "RECORDS", "SUSPENDED", "TIME", "DATE")
WIDEST_SHELL_VALUE = 30
ESCAPES = {"\\": "\\", "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def records(call: Call) -> int:
    user, name, form = call.take(3)
    domain = checks.domain_of(user, checks.normal(name))
    ttl = domain.facts["TTL"]
    listed = [readable({"TTL": ttl, **record}) for record in domain.records.all()]
    show(
        form,
        {
            "json": lambda: braces((record["ID"], pick(record, RECORD_JSON)) for record in listed),
            "plain": lambda: tabbed(map(echoed, listed), RECORD),
            "csv": lambda: "".join(f"{line}\n" for line in [",".join(RECORD), *map(comma_line, listed)]),
            "shell": lambda: columns([pick(record, RECORD_SHELL) for record in listed], RECORD_SHELL),
        },
    )
    return Code.OK


def domain(call: Call) -> int:
    user, name, form = call.take(3)
    facts = checks.domain_of(user, checks.normal(name)).facts
    show_domains(form, [facts], lambda: "".join(f"{key + ':':15} {facts.get(key, '')}\n" for key in DOMAIN))
    return Code.OK


def domains(call: Call) -> int:
    user, form = call.take(2)
    checks.user_exists(user)
    all_facts = Domain(user, "").domains.all()
    show_domains(form, all_facts, lambda: columns([pick(facts, DOMAIN) for facts in all_facts], DOMAIN))
    return Code.OK


def dnssec_key(call: Call) -> int:
    """The public key that the registrar is to know of; without one, the same with nothing in it."""
    user, name, form = call.take(3)
    domain = checks.domain_of(user, checks.normal(name))
    file = KEYS / f"K{domain.name}.+013+{domain.facts.get('KEY', '')}.key"
    lines = file.read_text().splitlines() if domain.facts.get("KEY") and file.exists() else []
    record = next((line for line in lines if " DNSKEY " in line), "")
    # NAME [TTL] IN DNSKEY FLAG PROTOCOL ALGORITHM KEY
    _, _, data = record.partition(" DNSKEY ")
    flag, _, algorithm, key = data.split(maxsplit=3) if data else ("", "", "", "")
    fields = {"RECORD": record, "FLAG": flag, "ALGORITHM": algorithm, "KEY": key, "DS": digest(file) if record else ""}
    show(
        form,
        {
            "json": lambda: braces([(domain.name, fields)]),
            "plain": lambda: f"{record}\n",
            "csv": lambda: "",
            "shell": lambda: "".join(f"{title + ':':10} {value}\n" for title, value in fields.items()),
        },
    )
    return Code.OK


def digest(file: Path) -> str:
    """The DS record of a key."""
    done = subprocess.run(["/usr/bin/dnssec-dsfromkey", str(file)], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def show_domains(form: str, listed: list[Fields], shell: Printer) -> None:
    show(
        form,
        {
            "json": lambda: braces((facts["DOMAIN"], pick(facts, DOMAIN_JSON)) for facts in listed),
            "plain": lambda: tabbed(listed, DOMAIN),
            "csv": lambda: "\n".join(
                [",".join(DOMAIN), *(",".join(pick(facts, DOMAIN).values()) for facts in listed), ""]
            ),
            "shell": shell,
        },
    )


def show(form: str, printers: Mapping[str, Printer]) -> None:
    if printer := printers.get(form or "shell"):
        print(printer(), end="")


def readable(record: Fields) -> Fields:
    """Backslashes do not survive the shell's `read`, in no format."""
    return {**record, "VALUE": re.sub(r"\\(.)", r"\1", record["VALUE"]).replace(QUOTE, "'")}


def echoed(record: Fields) -> Fields:
    """Plain goes through `echo -e` on top of it."""
    value = re.sub(r"\\([\\ntrabfv])", lambda found: ESCAPES[found[1]], record["VALUE"])
    return {**record, "VALUE": value}


def pick(fields: Mapping[str, str], keys: Iterable[str]) -> Fields:
    return {key: fields.get(key, "") for key in keys}


def braces(objects: Iterable[tuple[str, Fields]]) -> str:
    """JSON put together by hand: only double quotes are escaped, and an ID that is there twice is a key twice."""
    bodies = []
    for name, fields in objects:
        pairs = (f'        "{key}": "{escaped(value)}"' for key, value in fields.items())
        bodies.append(f'    "{name}": {{\n' + ",\n".join(pairs) + "\n    }")
    return "{\n" + ",\n".join(bodies) + "\n}\n"


def escaped(value: str) -> str:
    return value.replace('"', '\\"')


def tabbed(rows: Iterable[Fields], keys: tuple[str, ...]) -> str:
    return "".join("\t".join(pick(row, keys).values()) + "\n" for row in rows)


def comma_line(record: Fields) -> str:
    """Quotes around the value whether or not it has some of its own: not CSV as others read it."""
    return ",".join(pick({**record, "VALUE": f'"{record["VALUE"]}"'}, RECORD).values())


def columns(rows: list[Fields], keys: tuple[str, ...]) -> str:
    """For people: values cut short, columns aligned."""
    table = [list(keys), ["-" * len(key) for key in keys]]
    table += [[value[:WIDEST_SHELL_VALUE] if key == "VALUE" else value for key, value in row.items()] for row in rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(keys))]
    aligned = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "".join(line.rstrip() + "\n" for line in aligned)
