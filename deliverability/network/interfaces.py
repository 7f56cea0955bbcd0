"""Read Debian's /etc/network/interfaces. Source: interfaces(5), ifupdown 0.8.41 config.c (its behaviour was run).

One bad line makes ifupdown refuse the whole file, and then nothing comes up at boot; `parse` refuses it the same way.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Literal

from deliverability.errors import MalformedFile
from deliverability.network.ip_commands import AddressCommand, address_commands
from deliverability.postfix.plaintext import SPACE, require_plain

PATH = "/etc/network/interfaces"

METHODS = {
    "inet": {"loopback", "static", "manual", "dhcp", "bootp", "tunnel", "ppp", "wvdial", "ipv4ll"},
    "inet6": {"loopback", "static", "manual", "dhcp", "auto", "tunnel", "v4tunnel", "6to4"},
    "ipx": {"static", "dynamic"},
    "can": {"static"},
}
"""Address families and their methods, as ifquery of 0.8.41 accepts them."""

NAME_LISTS = ("auto", "no-auto-down", "no-scripts")
UP_WORDS = ("pre-up", "up", "post-up")
DOWN_WORDS = ("down", "pre-down", "post-down")


@dataclass(frozen=True)
class Line:
    """One logical line: its first word, the rest, and the numbers (from 1) of the lines it is made of."""

    word: str
    rest: str
    lines: tuple[int, ...]

    @property
    def number(self) -> int:
        return self.lines[0]

    @property
    def text(self) -> str:
        return f"{self.word} {self.rest}".rstrip()


@dataclass(frozen=True)
class Stanza:
    """A line that begins something (iface, auto, allow-*, mapping, source, rename, ...) and the options after it."""

    head: Line
    options: tuple[Line, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The words after the first: the interfaces of an auto line, or interface, family and method of an iface."""
        return tuple(_words(self.head.rest))

    @property
    def is_name_list(self) -> bool:
        """Whether it only lists interfaces: auto, allow-*, no-auto-down, no-scripts."""
        return self.head.word in NAME_LISTS or self.head.word.startswith("allow-")

    @property
    def name(self) -> str:
        """The (logical) interface of an iface stanza, such as eth0 or eth0:3; empty for every other stanza."""
        return self.names[0] if self.head.word == "iface" else ""

    @property
    def interface(self) -> str:
        """The interface without an alias number: eth0 for eth0:3."""
        return self.name.partition(":")[0]

    @property
    def family(self) -> str:
        """inet, inet6, ...; empty where the stanza inherits it."""
        return self.names[1] if self.name and self.names[1] in METHODS else ""

    @property
    def is_alias(self) -> bool:
        return ":" in self.name

    @property
    def lines(self) -> tuple[int, ...]:
        return tuple(number for line in (self.head, *self.options) for number in line.lines)

    def option(self, word: str) -> str:
        """The value of an option, or the empty string."""
        return next((option.rest for option in self.options if option.word == word), "")


@dataclass(frozen=True)
class Interfaces:
    """A parsed interfaces file: its stanzas in order, and the text they came from. Sourced files are not read."""

    text: str
    path: str
    stanzas: tuple[Stanza, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """`source PATTERN` and `source-directory DIR` lines as written; what they name holds more stanzas."""
        return tuple(stanza.head.text for stanza in self.stanzas if stanza.head.word.startswith("source"))


@dataclass(frozen=True)
class Binding:
    """An address the file gives to an interface, by an iface stanza or by an `ip addr add` command in one."""

    interface: str
    address: str
    prefix: int
    label: str
    how: Literal["stanza", "command"]
    lines: tuple[int, ...]


def parse(text: str, path: str = PATH) -> Interfaces:
    """Parse the text of an interfaces file; MalformedFile for whatever makes ifupdown refuse the file.

    Refused besides: an address that is none (ifup would fail at boot), and a second `address` in one stanza (ifup
    silently takes only the first).
    """
    require_plain(text, path)
    stanzas: list[Stanza] = []
    for line in _logical_lines(text):
        if _begins_stanza(line.word):
            stanzas.append(Stanza(_checked_head(line, stanzas, path)))
        else:
            owner = stanzas.pop() if stanzas else None
            stanzas.append(_with_option(owner, line, path))
    parsed = Interfaces(text, path, tuple(stanzas))
    addresses(parsed)
    return parsed


def addresses(parsed: Interfaces) -> tuple[Binding, ...]:
    """Every address the file binds, in file order. Raises MalformedFile for one that cannot be read."""
    return tuple(
        binding
        for stanza in parsed.stanzas
        if stanza.name
        for binding in (*_stanza_bindings(stanza, parsed.path), *_command_bindings(stanza))
    )


def commands(stanza: Stanza, option: Line) -> tuple[AddressCommand, ...]:
    """The `ip addr add` and `ip addr del` commands of one up/down option of a stanza."""
    if option.word not in (*UP_WORDS, *DOWN_WORDS):
        return ()
    return address_commands(option.rest, stanza.name)


def _logical_lines(text: str) -> Iterator[Line]:
    """As get_line() of ifupdown: a comment line ends at its end even after a backslash; a continuation is never one."""
    numbered = iter(enumerate(text.split("\n"), start=1))
    for number, raw in numbered:
        joined = raw.lstrip(SPACE)
        if joined.startswith("#"):
            continue
        lines = [number]
        while joined.endswith("\\"):
            number, raw = next(numbered, (0, ""))
            joined = joined[:-1] + raw
            if not number:
                break
            lines.append(number)
        words = _words(joined, 1)
        if words:
            yield Line(words[0], words[1].strip(SPACE) if len(words) > 1 else "", tuple(lines))


def _begins_stanza(word: str) -> bool:
    allow = word.startswith("allow-") and len(word) > len("allow-")
    known = word in ("iface", "mapping", "source", "rename", *NAME_LISTS)
    return allow or known or word.startswith("source-dir")


def _checked_head(line: Line, earlier: list[Stanza], path: str) -> Line:
    words = _words(line.rest)
    if line.word == "iface":
        _check_iface(line, words, earlier, path)
    return line


def _check_iface(line: Line, words: list[str], earlier: list[Stanza], path: str) -> None:
    if len(words) < 2:
        raise MalformedFile(path, line.number, "an iface line needs an interface, an address family and a method")
    family, method = words[1], words[2] if len(words) > 2 else ""
    if family not in METHODS and family != "inherits":
        raise MalformedFile(path, line.number, f"unknown address family {family!r}")
    if family in METHODS and method not in METHODS[family] and method != "inherits":
        raise MalformedFile(path, line.number, f"unknown method {method!r} of address family {family}")
    if "inherits" in words[1:4]:
        named = words[words.index("inherits") + 1 :][:1]
        if not any(stanza.name == name for stanza in earlier for name in named):
            raise MalformedFile(path, line.number, f"no earlier iface stanza to inherit from: {line.text!r}")


def _with_option(owner: Stanza | None, line: Line, path: str) -> Stanza:
    if owner is None or owner.head.word not in ("iface", "mapping"):
        raise MalformedFile(path, line.number, f"misplaced option {line.word!r}: it belongs to no iface stanza")
    if owner.head.word == "mapping" and line.word not in ("script", "map"):
        raise MalformedFile(path, line.number, f"misplaced option {line.word!r} in a mapping stanza")
    if not line.rest:
        raise MalformedFile(path, line.number, f"option {line.word!r} with an empty value")
    if line.word == "address" and owner.option("address"):
        raise MalformedFile(path, line.number, "a second address in one stanza; ifup takes only the first")
    return Stanza(owner.head, (*owner.options, line))


def _stanza_bindings(stanza: Stanza, path: str) -> Iterator[Binding]:
    for option in stanza.options:
        if option.word == "address" and stanza.family in ("inet", "inet6", ""):
            found = stanza_address(option.rest, stanza.option("netmask"))
            if found is None:
                raise MalformedFile(path, option.number, f"no address with netmask: {option.rest[:60]!r}")
            yield Binding(stanza.interface, found[0], found[1], stanza.name, "stanza", stanza.lines)


def _command_bindings(stanza: Stanza) -> Iterator[Binding]:
    for option in stanza.options:
        if option.word in UP_WORDS:
            for command in commands(stanza, option):
                if command.adds:
                    interface = command.device.partition(":")[0]
                    label = command.label or command.device
                    yield Binding(interface, command.address, command.prefix, label, "command", option.lines)


def stanza_address(address: str, netmask: str) -> tuple[str, int] | None:
    """(address, prefix) as ifup computes them: a netmask wins over /P, a bare IPv4 address has its class's mask."""
    text, _, length = address.partition("/")
    try:
        host = ip_address(text)
        mask = netmask or length
        if not mask and isinstance(host, IPv4Address):
            return str(host), _class_prefix(host)
        return str(host), ip_network(f"{host}/{mask or 128}", strict=False).prefixlen
    except ValueError:
        return None


def _class_prefix(host: IPv4Address) -> int:
    first = host.packed[0]
    return 8 if first < 128 else 16 if first < 192 else 24


def _words(text: str, maxsplit: int = 0) -> list[str]:
    return [word for word in re.split(f"[{SPACE}]+", text.strip(SPACE), maxsplit=maxsplit) if word]
