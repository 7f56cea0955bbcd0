"""Read master.cf and take services out of it. Source: master(5), postconf(1), Postfix 3.7 postconf_master.c."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from deliverability.errors import MalformedFile
from deliverability.postfix.logical import (
    LogicalLine,
    logical_lines,
    split_assignment,
    split_outside_braces,
    unbraced,
)
from deliverability.postfix.plaintext import require_plain, without_lines

PATH = "/etc/postfix/master.cf"

_BLANKS = " \t\r\n"
_FIELDS = 8
_VALID = {
    "type": re.compile(r"inet|unix|unix-dgram|fifo|pass"),
    "private": re.compile(r"[yn-]"),
    "unprivileged": re.compile(r"[yn-]"),
    "chroot": re.compile(r"[yn-]"),
    "wakeup": re.compile(r"-\??|[0-9]*\??"),
    "process_limit": re.compile(r"-|[0-9]+"),
}


class UnknownService(KeyError):
    """A service was named, as name/type, that master.cf does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Service:
    """One entry of master.cf.

    `command` is the program's name. `overrides` holds what Postfix really takes from `-o`; `args` the other words after
    the program. `broken_overrides` holds the words after an `-o` that are no name=value, such as the "a" of `-o a = b`:
    postconf and `postfix check` accept them, the program does not. `lines` are the numbers of the entry's own lines.
    """

    name: str
    type: str
    private: str
    unprivileged: str
    chroot: str
    wakeup: str
    process_limit: str
    command: str
    overrides: Mapping[str, str] = field(hash=False)
    args: tuple[str, ...]
    broken_overrides: tuple[str, ...]
    lines: tuple[int, ...]

    @property
    def key(self) -> str:
        """How postconf names the entry: name/type, with the name exactly as the file has it."""
        return f"{self.name}/{self.type}"

    @property
    def line(self) -> int:
        return self.lines[0]


@dataclass(frozen=True)
class MasterCf:
    """A parsed master.cf: every entry in file order, and the text it came from."""

    text: str
    path: str
    services: tuple[Service, ...]

    @property
    def effective(self) -> dict[str, Service]:
        """What master(8) runs: by key, the last of equal entries."""
        return {service.key: service for service in self.services}

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Keys that have more than one entry, in file order; the last entry of each wins."""
        return tuple(key for key, count in Counter(service.key for service in self.services).items() if count > 1)


def parse(text: str, path: str = PATH) -> MasterCf:
    """Parse the text of a master.cf; MalformedFile for whatever Postfix itself would refuse to start with."""
    require_plain(text, path)
    return MasterCf(text, path, tuple(_service(line, path) for line in logical_lines(text)))


def without(parsed: MasterCf | str, keys: Collection[str]) -> str:
    """The text without the entries of these keys (name/type), all of them where a key has several.

    Comment and blank lines stay, also those inside a removed entry, as with `postconf -MX`. Raises UnknownService for a
    key that is not there, MalformedFile for a text that is no master.cf.
    """
    master = parse(parsed) if isinstance(parsed, str) else parsed
    missing = sorted(set(keys) - set(master.effective))
    if missing:
        raise UnknownService(f"{master.path} has no service {', '.join(missing)}")
    return without_lines(master.text, {n for service in master.services if service.key in keys for n in service.lines})


def _service(entry: LogicalLine, path: str) -> Service:
    words = split_outside_braces(entry.text, _BLANKS)
    if len(words) < _FIELDS:
        raise MalformedFile(path, entry.line, f"{len(words)} fields in a service entry, {_FIELDS} needed")
    for (name, valid), word in zip(_VALID.items(), words[1:], strict=False):
        if not valid.fullmatch(word):
            raise MalformedFile(path, entry.line, f"{word!r} is no {name} of a service entry")
    name, kind, private, unprivileged, chroot, wakeup, process_limit, command = words[:_FIELDS]
    options = _Options(words[_FIELDS:], path, entry.line)
    return Service(
        name=name,
        type=kind,
        private=private,
        unprivileged=unprivileged,
        chroot=chroot,
        wakeup=wakeup,
        process_limit=process_limit,
        command=command,
        overrides=options.overrides,
        args=tuple(options.args),
        broken_overrides=tuple(options.broken),
        lines=entry.lines,
    )


class _Options:
    """Splits the words after the program the way pcf_normalize_daemon_args() does."""

    def __init__(self, words: list[str], path: str, line: int) -> None:
        self.overrides: dict[str, str] = {}
        self.args: list[str] = []
        self.broken: list[str] = []
        self._path = path
        self._line = line
        rest = list(words)
        while rest and rest[0].startswith("-") and rest[0] != "--":
            self._option(rest.pop(0), rest)
        self.args += [self._inside(word) if word.startswith("{") else word for word in rest]

    def _option(self, word: str, rest: list[str]) -> None:
        flags, letter, value = word[1:].partition("o")
        if flags or not letter:
            self.args.append(f"-{flags}")
        if not letter:
            return
        if value or rest:
            self._override(value or rest.pop(0))
        else:
            self.broken.append("")
            self.args.append("-o")

    def _override(self, word: str) -> None:
        assignment = split_assignment(self._inside(word) if word.startswith("{") else word)
        if assignment is None:
            self.broken.append(word)
            self.args += ["-o", word]
        else:
            self.overrides[assignment[0]] = assignment[1]

    def _inside(self, word: str) -> str:
        inside = unbraced(word)
        if inside is None:
            raise MalformedFile(self._path, self._line, f"a brace is not closed at the end of {word[:60]!r}")
        return inside
