"""Take addresses out of /etc/network/interfaces, and nothing else. Source: interfaces(5)."""

import re
from collections.abc import Collection, Iterator
from ipaddress import ip_address

from deliverability.network.interfaces import (
    DOWN_WORDS,
    UP_WORDS,
    Binding,
    Interfaces,
    Line,
    Stanza,
    addresses,
    commands,
    parse,
)
from deliverability.postfix.plaintext import physical_lines, without_lines

_ADDRESS_OPTIONS = {"address", "netmask", "broadcast", "network", "scope", "preferred-lifetime", "dad-attempts"}
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d]|\.\d)")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])[0-9A-Fa-f]*:[0-9A-Fa-f:]*(?:\.\d+)*(?![0-9A-Za-z:])")


class CannotRemove(ValueError):
    """An address cannot be taken out of the file without touching something else; the message names the line."""


def without(parsed: Interfaces | str, remove: Collection[str]) -> str:
    """The text without the bindings of these addresses.

    An `ip addr add` line goes together with its `ip addr del` line. An alias stanza (eth0:3) and a further stanza of an
    interface go whole, an alias with its name in auto and allow- lines. Comments and blank lines stay.

    Raises CannotRemove for an address that the file does not bind, for the first stanza of an interface, for a stanza
    that does more than hold the address, for a line with several commands, and when a line that stays still names a
    removed address or alias. Raises MalformedFile for a text that ifupdown would not read.
    """
    before = parse(parsed) if isinstance(parsed, str) else parsed
    wanted = {str(ip_address(address)) for address in remove}
    bindings = [binding for binding in addresses(before) if binding.address in wanted]
    for address in sorted(wanted - {binding.address for binding in bindings}):
        raise CannotRemove(f"{before.path} binds no {address}")
    edit = _Edit(before, wanted)
    for binding in bindings:
        edit.remove(binding)
    return edit.result(bindings)


class _Edit:
    """The lines to remove and the alias names to strike, collected binding by binding, then checked and applied."""

    def __init__(self, before: Interfaces, wanted: set[str]) -> None:
        self._before = before
        self._wanted = wanted
        self._gone: set[int] = set()

    def remove(self, binding: Binding) -> None:
        if binding.how == "command":
            self._gone.update(binding.lines)
        else:
            stanza = next(stanza for stanza in self._before.stanzas if stanza.lines == binding.lines)
            self._check_stanza(stanza, binding)
            self._gone.update(stanza.lines)

    def result(self, bindings: list[Binding]) -> str:
        self._check_commands()
        self._gone.update(number for option in self._down_lines() for number in option.lines)
        aliases = self._aliases_without_stanza()
        texts = self._strike(aliases)
        self._check_mentions(aliases)
        after = without_lines(texts, self._gone)
        kept = [_identity(binding) for binding in addresses(self._before) if binding not in bindings]
        if [_identity(binding) for binding in addresses(parse(after, self._before.path))] != kept:
            raise CannotRemove(f"{self._before.path}: the edit would change other addresses than those asked for")
        return after

    def _check_stanza(self, stanza: Stanza, binding: Binding) -> None:
        where = f"line {stanza.head.number}"
        if not stanza.is_alias and stanza is self._first_of(stanza):
            raise CannotRemove(
                f"{where}: {binding.address} is in the first {stanza.family} stanza of {stanza.name}, which brings the"
                " interface up; it is never removed"
            )
        for option in stanza.options:
            ours = [command for command in commands(stanza, option) if command.address in self._wanted]
            if option.word not in _ADDRESS_OPTIONS and not (ours and ours == list(commands(stanza, option))):
                raise CannotRemove(
                    f"line {option.number}: the stanza of {binding.address} on {stanza.name} also has `{option.text}`"
                )

    def _first_of(self, stanza: Stanza) -> Stanza:
        same = ((other.name, other.family) == (stanza.name, stanza.family) for other in self._before.stanzas)
        return next(other for other, equal in zip(self._before.stanzas, same, strict=True) if equal)

    def _check_commands(self) -> None:
        for stanza, option in self._commands_about(UP_WORDS + DOWN_WORDS):
            if not all(command.alone for command in commands(stanza, option)):
                raise CannotRemove(f"line {option.number}: `{option.text}` does more than one thing")

    def _down_lines(self) -> Iterator[Line]:
        for stanza, option in self._commands_about(DOWN_WORDS):
            if not commands(stanza, option)[0].adds:
                yield option

    def _commands_about(self, words: Collection[str]) -> Iterator[tuple[Stanza, Line]]:
        for stanza in self._before.stanzas:
            for option in stanza.options:
                about = any(command.address in self._wanted for command in commands(stanza, option))
                if option.word in words and about:
                    yield stanza, option

    def _aliases_without_stanza(self) -> set[str]:
        gone = {stanza.name for stanza in self._before.stanzas if stanza.is_alias and self._is_gone(stanza.head)}
        kept = {stanza.name for stanza in self._before.stanzas if not self._is_gone(stanza.head)}
        return gone - kept

    def _is_gone(self, line: Line) -> bool:
        return line.number in self._gone

    def _strike(self, aliases: set[str]) -> str:
        """The text with the names of `aliases` struck from lists; a list that becomes empty is marked as gone."""
        lines = physical_lines(self._before.text)
        for stanza in self._before.stanzas:
            struck = [name for name in stanza.names if name in aliases] if stanza.is_name_list else []
            if struck and set(stanza.names) <= aliases:
                self._gone.update(stanza.head.lines)
            elif struck:
                for name in struck:
                    _strike_word(lines, stanza.head, name)
        return "".join(lines)

    def _check_mentions(self, aliases: set[str]) -> None:
        for stanza in self._before.stanzas:
            for line in (stanza.head, *stanza.options):
                if self._is_gone(line):
                    continue
                named = _addresses_in(line.text) & self._wanted
                if not stanza.is_name_list:
                    named |= {alias for alias in aliases if re.search(rf"(?<![\w:.]){alias}(?![\w:.])", line.text)}
                if named:
                    raise CannotRemove(f"line {line.number}: `{line.text}` still needs {', '.join(sorted(named))}")


def _identity(binding: Binding) -> tuple[str, str, int, str]:
    return binding.interface, binding.address, binding.prefix, binding.label


def _strike_word(lines: list[str], head: Line, word: str) -> None:
    for number in head.lines:
        struck, count = re.subn(rf"[ \t]+{re.escape(word)}(?=[\s\\]|\Z)", "", lines[number - 1])
        if count:
            lines[number - 1] = struck
            return
    raise CannotRemove(f"line {head.number}: {word} cannot be struck from `{head.text}`")


def _addresses_in(text: str) -> set[str]:
    found = set()
    for token in (*_IPV4.findall(text), *_IPV6.findall(text)):
        try:
            found.add(str(ip_address(token)))
        except ValueError:
            continue
    return found
