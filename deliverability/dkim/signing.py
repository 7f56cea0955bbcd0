"""How a host signs: where its OpenDKIM tables are, what stands in them, and the edits that sign one more domain."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from deliverability.dkim import tables
from deliverability.dkim.tables import Key, Tables
from deliverability.errors import MalformedFile, Refused
from deliverability.plan import EditFile, ReloadService
from deliverability.postfix.plaintext import SPACE, require_plain

CONF = "/etc/opendkim.conf"
KEYS = "/etc/opendkim/keys"
SERVICE = "opendkim"

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


@dataclass(frozen=True)
class Place:
    """Where a table is, and whether its keys are patterns (`refile:`)."""

    path: str
    patterns: bool


class Table(BaseModel):
    """A table as it stands on the host."""

    model_config = ConfigDict(frozen=True)

    path: str
    patterns: bool
    text: str


class Signing(BaseModel):
    """What a host signs with. `loaded`: OpenDKIM was told to reload after its files were last changed."""

    model_config = ConfigDict(frozen=True)

    host: str
    key_table: Table
    signing_table: Table
    loaded: bool

    def tables(self) -> Tables:
        """Both tables, read. Raises MalformedFile."""
        keys, rules = self.key_table, self.signing_table
        return Tables(
            tables.parse_keys(keys.text, keys.path, patterns=keys.patterns),
            tables.parse_rules(rules.text, rules.path, patterns=rules.patterns),
            rules.patterns,
        )


def places(conf: str, path: str = CONF) -> tuple[Place, Place]:
    """KeyTable and SigningTable as opendkim.conf names them. Raises MalformedFile for one that is no text file."""
    require_plain(conf, path)
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(conf.split("\n"), 1):
        name, _, value = re.sub(f"[{SPACE}]+", " ", line.partition("#")[0].strip(SPACE)).partition(" ")
        found[name.lower()] = (number, value)
    return _place(found, "KeyTable", path), _place(found, "SigningTable", path)


def key_path(domain: str, selector: str) -> str:
    """Where a key is kept. Raises Refused for a name that is none: it would become a path, and a word in a table."""
    for name in (domain, selector):
        if _NAME.fullmatch(name) is None or len(name) > 253:
            raise Refused(
                f"{name[:80]!r} is no name of a domain or selector", next_step="correct it in the estate file"
            )
    return f"{KEYS}/{domain}/{selector}.private"


def key_for(domain: str, selector: str) -> Key:
    """The line of the KeyTable for a domain's key; its name is where its record is published."""
    return Key(f"{selector}._domainkey.{domain}", domain, selector, key_path(domain, selector))


def changes(before: Signing, domain: str, selector: str) -> tuple[EditFile | ReloadService, ...]:
    """The lines that sign a domain's mail, the key before what refers to it, then the reload; nothing if it is signed.

    Raises MalformedFile, and Refused for a line that says otherwise.
    """
    key = _as_known(before.tables(), key_for(domain, selector))
    keys, rules = before.key_table, before.signing_table
    edits = tuple(
        _edits(
            before.host,
            (keys, tables.add_key(keys.text, key, keys.path, patterns=keys.patterns), f"the key of {domain}"),
            (
                rules,
                tables.add_rule(rules.text, domain, key.name, rules.path, patterns=rules.patterns),
                f"mail from {domain} is signed with it",
            ),
        )
    )
    if edits:
        return (*edits, ReloadService(host=before.host, service=SERVICE, why="OpenDKIM signs with what its tables say"))
    if not before.loaded:
        why = "OpenDKIM may not have read its present tables"
        return (ReloadService(host=before.host, service=SERVICE, why=why),)
    return ()


def _as_known(now: Tables, key: Key) -> Key:
    """The line the table has for this key already, under whatever name: a second one would change nothing."""
    same = (one for one in now.keys if (one.domain, one.selector, one.path) == (key.domain, key.selector, key.path))
    return next(same, key)


def _edits(host: str, *planned: tuple[Table, str, str]) -> Iterator[EditFile]:
    for table, after, why in planned:
        if after != table.text:
            item = f"line {after.splitlines()[-1]}"
            yield EditFile(host=host, path=table.path, before=table.text, after=after, why=why, items=(item,))


def _place(found: dict[str, tuple[int, str]], name: str, conf: str) -> Place:
    number, value = found.get(name.lower(), (0, ""))
    kind, colon, path = value.partition(":")
    if not colon:
        kind, path = "file", value
    if kind not in ("file", "refile") or not path.startswith("/"):
        raise MalformedFile(conf, number or 1, f"{name} {value or 'is not set'}: only text files can be edited")
    return Place(path, kind == "refile")
