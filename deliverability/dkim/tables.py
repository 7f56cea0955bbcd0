"""OpenDKIM's KeyTable and SigningTable: read, compare, and add a line; nothing else of a file changes.

Sources: opendkim.conf(5) and opendkim-db.c of 2.11. A `#` ends a line wherever it stands; the key ends at the first
white space. In a `refile:` table the key is a pattern in which `*` stands for anything, the first match counts, and a
line that begins with white space is skipped without a word. In a plain table the key is looked up literally.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from deliverability.errors import MalformedFile, Refused
from deliverability.postfix.plaintext import SPACE, require_plain

KEY_TABLE = "/etc/opendkim/KeyTable"
SIGNING_TABLE = "/etc/opendkim/SigningTable"

LINE_LIMIT = 1023
"""Bytes: OpenDKIM reads what is longer as two lines."""


@dataclass(frozen=True)
class Key:
    """A line of the KeyTable: `NAME DOMAIN:SELECTOR:PATH`. A domain "%" stands for that of the sender."""

    name: str
    domain: str
    selector: str
    path: str
    line: int = 0


@dataclass(frozen=True)
class Rule:
    """A line of the SigningTable: mail of whom (an address, a domain, or a pattern) is signed with which key."""

    senders: str
    key: str
    line: int = 0


@dataclass(frozen=True)
class Tables:
    """Both tables as OpenDKIM reads them. `patterns`: the SigningTable is a refile."""

    keys: tuple[Key, ...]
    rules: tuple[Rule, ...]
    patterns: bool = True


def parse_keys(text: str, path: str = KEY_TABLE, *, patterns: bool = False) -> tuple[Key, ...]:
    """Read a KeyTable. Raises MalformedFile for a line that would make a message it is needed for tempfail."""
    return tuple(_key(number, name, value, path) for number, name, value in _entries(text, path, patterns))


def parse_rules(text: str, path: str = SIGNING_TABLE, *, patterns: bool = True) -> tuple[Rule, ...]:
    """Read a SigningTable. Raises MalformedFile for a line without the name of a key."""
    # What follows a colon is the i= of the signature.
    return tuple(
        Rule(senders, _needed(value, number, path).partition(":")[0], number)
        for number, senders, value in _entries(text, path, patterns)
    )


def add_key(text: str, key: Key, path: str = KEY_TABLE, *, patterns: bool = False) -> str:
    """The text with this key; unchanged if it has it. Raises Refused when the name is another key's."""
    keys = parse_keys(text, path, patterns=patterns)
    for known in keys:
        if known.name == key.name:
            if _same(known, key):
                return text
            raise _conflict(path, known.line, f"{known.name} is {known.domain}:{known.selector}:{known.path}", key.name)
    return _appended(text, f"{key.name} {key.domain}:{key.selector}:{key.path}")


def add_rule(text: str, domain: str, key: str, path: str = SIGNING_TABLE, *, patterns: bool = True) -> str:
    """The text with a line that signs all mail from `domain` with the key of this name; unchanged if it has it.

    Raises Refused when mail from the domain is signed with another key already: the first match counts, a line after it
    would have no effect.
    """
    senders = senders_of(domain, patterns=patterns)
    for known in parse_rules(text, path, patterns=patterns):
        if _covers(known.senders, senders, patterns):
            if known.key == key:
                return text
            raise _conflict(path, known.line, f"{known.senders} is signed with {known.key}", senders)
    return _appended(text, f"{senders} {key}")


def senders_of(domain: str, *, patterns: bool) -> str:
    """How a SigningTable names all addresses of a domain, and none of its subdomains."""
    return f"*@{domain}" if patterns else domain


def key_for(tables: Tables, address: str) -> Key | None:
    """The key that signs mail from this address, None if nothing does."""
    names = [address] if tables.patterns else [address, address.rpartition("@")[2]]
    matching = (rule.key for name in names for rule in tables.rules if _covers(rule.senders, name, tables.patterns))
    named = next(matching, None)
    return next((key for key in tables.keys if key.name == named), None)


def problems(tables: Tables) -> tuple[str, ...]:
    """Why OpenDKIM would refuse, for now, mail that it is to sign, if it read these tables.

    It stays up with such tables, reports no error at the reload, and tempfails: Postfix logs milter-reject 4.7.1.
    """
    names = Counter(key.name for key in tables.keys)
    return (
        *(f"SigningTable:{rule.line}: no key is named {rule.key}" for rule in tables.rules if rule.key not in names),
        *(f"KeyTable has {count} keys named {name}" for name, count in names.items() if count > 1),
        *(
            f"KeyTable:{key.line}: {key.path} is no absolute path"
            for key in tables.keys
            if not key.path.startswith("/")
        ),
    )


def _entries(text: str, path: str, patterns: bool) -> Iterator[tuple[int, str, str]]:
    require_plain(text, path)
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.encode()) > LINE_LIMIT:
            raise MalformedFile(path, number, f"longer than {LINE_LIMIT} bytes, which OpenDKIM reads as two lines")
        content = line.partition("#")[0]
        if patterns and content[:1] in tuple(SPACE):
            continue
        name, _, value = re.sub(f"[{SPACE}]+", " ", content.strip(SPACE)).partition(" ")
        if name:
            yield number, name, value


def _key(number: int, name: str, value: str, path: str) -> Key:
    domain, _, rest = _needed(value, number, path).partition(":")
    selector, _, file = rest.partition(":")
    if not (domain and selector and file):
        raise MalformedFile(path, number, f"{value!r} is no DOMAIN:SELECTOR:PATH")
    return Key(name, domain, selector, file, number)


def _needed(value: str, number: int, path: str) -> str:
    if not value:
        raise MalformedFile(path, number, "a key with no value")
    return value


def _same(known: Key, key: Key) -> bool:
    return (known.domain.lower(), known.selector, known.path) == (key.domain.lower(), key.selector, key.path)


def _covers(known: str, senders: str, patterns: bool) -> bool:
    """Whether `known` matches all that `senders` matches: only an asterisk here takes an asterisk there."""
    if not patterns:
        return known.lower() == senders.lower()
    expression = ".*".join(re.escape(part) for part in known.split("*"))
    return re.fullmatch(expression, senders, re.IGNORECASE) is not None


def _appended(text: str, line: str) -> str:
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    return f"{whole}{line}\n"


def _conflict(path: str, line: int, is_now: str, wanted: str) -> Refused:
    return Refused(
        f"{path}:{line}: {is_now}; a line for {wanted} is not added",
        next_step=f"settle line {line} of {path} by hand, then plan again",
    )
