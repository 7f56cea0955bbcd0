"""Which transports a value of a Postfix configuration, or a lookup table, refers to.

Names are collected generously: where a value cannot be decided from the text, every name it may give is returned, since
the reader of the answer wants to know that a transport is *not* referred to. Source: postconf(5), transport(5),
DATABASE_README, inline/randmap/unionmap/pipemap of Postfix 3.7.
"""

import re
from collections.abc import Collection, Iterator

from deliverability.postfix.logical import logical_lines, split_assignment, split_outside_braces, unbraced
from deliverability.postfix.main_cf import MainCf
from deliverability.postfix.plaintext import SPACE, require_plain

MAP_PARAMETERS = (
    "transport_maps",
    "sender_dependent_default_transport_maps",
    "mailbox_transport_maps",
    "fallback_transport_maps",
    "address_verify_transport_maps",
    "address_verify_sender_dependent_default_transport_maps",
)
"""Parameters whose value is a list of tables with a transport on the right-hand side."""

NAME_PARAMETERS = (
    "default_transport",
    "relay_transport",
    "local_transport",
    "virtual_transport",
    "mailbox_transport",
    "fallback_transport",
    "content_filter",
    "address_verify_default_transport",
    "address_verify_relay_transport",
    "address_verify_local_transport",
    "address_verify_virtual_transport",
)
"""Parameters whose value is itself transport or transport:nexthop."""

FILTER_PARAMETERS = (
    "header_checks",
    "mime_header_checks",
    "nested_header_checks",
    "body_checks",
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
    "smtpd_etrn_restrictions",
)
"""Parameters whose tables may answer FILTER transport:destination."""

_SEPARATORS = ", \t\r\n"
_NESTED = ("pipemap", "unionmap")
_IN_PLACE = ("inline", "randmap", "static", *_NESTED)
_FILE_TYPES = ("btree", "cdb", "cidr", "dbm", "hash", "lmdb", "pcre", "regexp", "sdbm", "texthash")
_SERVER_TYPES = ("ldap", "memcache", "mysql", "nis", "nisplus", "pgsql", "socketmap", "sqlite", "tcp", "unix")
_TYPES = frozenset((*_FILE_TYPES, *_SERVER_TYPES, *_IN_PLACE, "environ", "fail", "internal", "proxy"))
_TABLE = re.compile(r"(?P<type>[A-Za-z][A-Za-z0-9_-]*):(?P<rest>.*)", re.DOTALL)
_UNRESOLVED_NAME = re.compile(r"[\w.-]+(?=:)", re.ASCII)
_REGEXP_TYPES = ("regexp", "pcre")


def transports_named(parsed: MainCf) -> dict[str, frozenset[str]]:
    """By parameter that main.cf sets: the transports its value names, tables written in main.cf included.

    A parameter that names none is left out. Tables in files are for `tables` and `transports_in_table`.
    """
    named = {
        parameter: transports_in(parameter, parsed.expand(parsed.value(parameter)))
        for parameter in (*MAP_PARAMETERS, *NAME_PARAMETERS, *FILTER_PARAMETERS)
    }
    return {parameter: names for parameter, names in named.items() if names}


def tables(
    parsed: MainCf, parameters: Collection[str] = (*MAP_PARAMETERS, *FILTER_PARAMETERS)
) -> tuple[tuple[str, str, str], ...]:
    """(parameter, table type, path) of each table outside main.cf that these parameters consult.

    For hash, lmdb and the like the path is that of the source text. The "path" of tcp, socketmap, ldap and their like
    is whatever follows the type: what those answer cannot be read from a file.
    """
    default_type = parsed.value("default_database_type", "hash")
    found = [
        (parameter, *table)
        for parameter in parameters
        for table in tables_in_value(parsed.expand(parsed.value(parameter)), default_type)
    ]
    return tuple(dict.fromkeys(found))


def transports_in(parameter: str, value: str) -> frozenset[str]:
    """The transports that one expanded value of `parameter` names, from main.cf or from an -o of master.cf.

    `name` or `name:nexthop` for NAME_PARAMETERS, tables written in place for MAP_PARAMETERS and FILTER_PARAMETERS,
    nothing for other parameters. Tables in files name none here. A reference that was not expanded (${...}) contributes
    every name before a colon in it; a bare $name stays as it is written.
    """
    if parameter in NAME_PARAMETERS:
        names = {transport_of(value)}
    elif parameter in (*MAP_PARAMETERS, *FILTER_PARAMETERS):
        items = split_outside_braces(value, _SEPARATORS)
        answers = [answer for item in items if _is_table(item) for answer in _answers(item)]
        wanted = (answer for answer in answers if parameter in MAP_PARAMETERS or _is_filter(answer))
        names = {transport_of(answer) for answer in wanted}
    else:
        return frozenset()
    if "${" in value or "$(" in value:
        names.update(_UNRESOLVED_NAME.findall(value))
    return frozenset(names - {""})


def tables_in_value(value: str, default_type: str = "hash") -> tuple[tuple[str, str], ...]:
    """(type, path) of the tables outside an expanded value that lists tables; `default_type` is for a bare path."""
    items = split_outside_braces(value, _SEPARATORS)
    return tuple(table for item in items for table in _outside(item, default_type))


def transports_in_table(text: str, table_type: str = "hash", path: str = "table") -> frozenset[str]:
    """The transports on the right-hand sides of a table's source text, and those of its FILTER actions.

    Of an access table the result holds other one-word actions too (OK, DUNNO), since nothing tells them from a name.
    `table_type` is the type from `tables()`: regexp and pcre have patterns on the left. A `$1` in a name stays in it.
    Raises MalformedFile for a carriage return or NUL; a line that is no rule is skipped, as Postfix skips it.
    """
    require_plain(text, path)
    sides = (_right_hand_side(line.text, table_type) for line in logical_lines(text))
    return frozenset(transport_of(side) for side in sides) - {""}


def transport_of(answer: str) -> str:
    """The transport of `transport:nexthop`, `transport` or `FILTER transport:nexthop`; empty if it names none."""
    if _is_filter(answer):
        answer = answer.strip(SPACE)[len("FILTER") :]
    name = answer.partition(":")[0].strip(SPACE)
    return name if re.fullmatch(r"\S*", name) else ""


def _is_filter(answer: str) -> bool:
    return re.match(r"\s*FILTER(?:\s|\Z)", answer, re.IGNORECASE) is not None


def _is_table(item: str) -> bool:
    match = _TABLE.fullmatch(item)
    return item.startswith("/") or (match is not None and match["type"] in _TYPES)


def _answers(item: str) -> Iterator[str]:
    """What a table written inside main.cf may answer; nothing for a table elsewhere."""
    match = _TABLE.fullmatch(item)
    if match is None:
        return
    kind, rest = match["type"], match["rest"]
    inside = unbraced(rest) if rest.startswith("{") else None
    if kind == "proxy":
        yield from _answers(rest)
    elif kind == "static":
        yield inside if inside is not None else rest
    elif inside is not None:
        for entry in split_outside_braces(inside, _SEPARATORS):
            yield from _entry_answers(kind, unbraced(entry) or entry)


def _entry_answers(kind: str, entry: str) -> Iterator[str]:
    if kind in _NESTED:
        yield from _answers(entry)
    elif kind == "randmap":
        yield entry
    elif kind == "inline":
        assignment = split_assignment(entry)
        yield assignment[1] if assignment else entry.partition("=")[2].strip(SPACE)
    else:  # regexp:{ {/pattern/ answer} }, pcre:{...}, cidr:{...}
        yield _right_hand_side(entry, kind)


def _outside(item: str, default_type: str) -> Iterator[tuple[str, str]]:
    if item.startswith("/"):
        yield default_type, item
        return
    match = _TABLE.fullmatch(item)
    if match is None or not _is_table(item):
        return
    kind, rest = match["type"], match["rest"]
    if kind == "proxy":
        yield from _outside(rest, default_type)
    elif kind in _NESTED:
        for entry in split_outside_braces(unbraced(rest) or "", _SEPARATORS):
            yield from _outside(entry, default_type)
    elif kind not in _IN_PLACE and not rest.startswith("{"):
        yield kind, rest


def _right_hand_side(line: str, table_type: str) -> str:
    line = line.strip(SPACE)
    if re.match(r"(?:if|endif)\b", line, re.IGNORECASE) and table_type in (*_REGEXP_TYPES, "cidr"):
        return ""
    if table_type in _REGEXP_TYPES:
        pattern = line.lstrip("!" + SPACE)
        if not pattern:
            return ""
        mark = re.escape(pattern[0])
        match = re.match(rf"{mark}(?:[^\\]|\\.)*?{mark}\S*\s+(.*)", pattern, re.DOTALL)
        return match[1] if match else ""
    match = re.match(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+\s+(.*)', line, re.DOTALL) or re.match(
        r"\S+\s+(.*)", line, re.DOTALL
    )
    return match[1] if match else ""
