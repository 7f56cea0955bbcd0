"""Recognise `ip addr add` and `ip addr del` in the shell commands of an interfaces file. Source: ip-address(8).

Only plain commands are recognised; whatever needs a shell to be understood (loops, variables but $IFACE) is not.
"""

import re
import shlex
from dataclasses import dataclass
from ipaddress import ip_interface

_IP = re.compile(r"(?:/(?:usr/)?s?bin/)?ip")
_SEPARATOR = re.compile(r"\s*(?:;|&&)\s*")
_HARMLESS_TAIL = re.compile(r"(?:\s*(?:\d?>\s*/dev/null|2>&1|\|\|\s*(?:true|:|/bin/true)))*\s*\Z")
_OBJECTS = {"address"[:length] for length in range(1, len("address") + 1)}
_GLOBAL_OPTIONS = {"-4", "-6"}
_WITH_VALUE = {"broadcast", "brd", "label", "scope", "metric", "priority", "valid_lft", "preferred_lft", "dev", "local"}
_FLAGS = {"nodad", "noprefixroute", "home", "mngtmpaddr", "optimistic"}


@dataclass(frozen=True)
class AddressCommand:
    """One `ip addr add` (or replace, change) or `ip addr del`; `alone` when it is all that its shell line does."""

    adds: bool
    address: str
    prefix: int
    device: str
    label: str
    alone: bool


def address_commands(shell: str, logical_interface: str) -> tuple[AddressCommand, ...]:
    """The address commands of one shell line; $IFACE and ${IFACE} stand for `logical_interface`."""
    parts = [part for part in _SEPARATOR.split(shell) if part.strip()]
    found = []
    for part in parts:
        command = _command(part, logical_interface, alone=len(parts) == 1)
        if command:
            found.append(command)
    return tuple(found)


def _command(shell: str, logical_interface: str, *, alone: bool) -> AddressCommand | None:
    words = _plain_words(_HARMLESS_TAIL.sub("", shell), logical_interface)
    if words is None or not words or not _IP.fullmatch(words[0]):
        return None
    rest = words[1:]
    while rest and rest[0] in _GLOBAL_OPTIONS:
        rest = rest[1:]
    if len(rest) < 3 or rest[0] not in _OBJECTS:
        return None
    if rest[1] in ("add", "a", "replace", "change"):
        return _arguments(rest[2:], adds=True, alone=alone)
    return _arguments(rest[2:], adds=False, alone=alone) if rest[1] in ("del", "delete", "d") else None


def _plain_words(shell: str, logical_interface: str) -> list[str] | None:
    shell = re.sub(r"\$(?:IFACE\b|\{IFACE\})", logical_interface, shell)
    try:
        words = shlex.split(shell)
    except ValueError:
        return None
    return None if any(set(word) & set("$`|&;<>(){}*?") for word in words) else words


def _arguments(words: list[str], *, adds: bool, alone: bool) -> AddressCommand | None:
    values: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word in _WITH_VALUE:
            if not words:
                return None
            values[word] = words.pop(0)
        elif word not in _FLAGS:
            if "local" in values:
                return None
            values["local"] = word
    try:
        interface = ip_interface(values["local"])
        return AddressCommand(
            adds, str(interface.ip), interface.network.prefixlen, values["dev"], values.get("label", ""), alone
        )
    except (KeyError, ValueError):
        return None
