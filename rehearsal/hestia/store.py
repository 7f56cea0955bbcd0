"""The files of HestiaCP: one object a line, KEY='value' after KEY='value'. Nothing locks them there, nor here."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

Fields = dict[str, str]

PAIR = re.compile(r"(\w+)='([^']*)'")


def parse(line: str) -> Fields:
    return dict(PAIR.findall(line))


def render(fields: Mapping[str, str]) -> str:
    return " ".join(f"{key}='{value}'" for key, value in fields.items())


def read(path: Path) -> str:
    return path.read_text(errors="surrogateescape")


def write(path: Path, text: str) -> None:
    """As `sed -i` and `mv` do it: whole, under another name first. What others wrote meanwhile is lost."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, errors="surrogateescape")
    fresh.replace(path)


def append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", errors="surrogateescape") as file:
        file.write(line + "\n")


class Objects:
    """A file of objects that one key tells apart: records by ID, domains by DOMAIN."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key

    def all(self) -> list[Fields]:
        return [parse(line) for line in read(self.path).splitlines()] if self.path.exists() else []

    def find(self, name: str) -> Fields:
        """Of several with the same key the last, as the shell's variables have it; {} if there is none."""
        found = [fields for fields in self.all() if fields.get(self.key) == name]
        return found[-1] if found else {}

    def add(self, fields: Fields) -> None:
        append(self.path, render(fields))

    def remove(self, name: str) -> None:
        """All that have this key: nothing sees to it that it is only one."""
        self._write([fields for fields in self.all() if fields.get(self.key) != name])

    def update(self, name: str, changes: Fields) -> None:
        self._write([{**fields, **changes} if fields.get(self.key) == name else fields for fields in self.all()])

    def sort(self) -> None:
        self._write(sorted(self.all(), key=lambda fields: (int(fields.get(self.key) or 0), render(fields))))

    def _write(self, objects: list[Fields]) -> None:
        write(self.path, "".join(render(fields) + "\n" for fields in objects))
