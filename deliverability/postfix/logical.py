"""Logical lines and name-value splitting, as every Postfix file has them.

Source: Postfix util/readlline.c and util/split_nameval.c; master(5), postconf(5). Blank lines and lines whose first
non-blank character is # are no content, also between a line and its continuation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from deliverability.postfix.plaintext import SPACE


@dataclass(frozen=True)
class LogicalLine:
    """One logical line: its text joined as Postfix joins it, and the numbers (from 1) of the lines it is made of."""

    text: str
    lines: tuple[int, ...]

    @property
    def line(self) -> int:
        """The number of its first line."""
        return self.lines[0]


def logical_lines(text: str) -> Iterator[LogicalLine]:
    """The logical lines of `text`. A continuation that continues nothing is left out: Postfix warns and ignores it."""
    parts: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip(SPACE) or line.lstrip(SPACE).startswith("#"):
            continue
        if line[0] not in SPACE:
            if parts:
                yield LogicalLine("".join(parts), tuple(numbers))
            parts, numbers = [line], [number]
        elif parts:
            parts.append(line)
            numbers.append(number)
    if parts:
        yield LogicalLine("".join(parts), tuple(numbers))


def split_assignment(text: str) -> tuple[str, str] | None:
    """`name = value` as (name, value), both trimmed; None where Postfix finds no name or no equals sign after it."""
    name, equals, value = text.partition("=")
    name = name.strip(SPACE)
    if not equals or not name or any(char in SPACE for char in name):
        return None
    return name, value.strip(SPACE)


def split_outside_braces(text: str, separators: str) -> list[str]:
    """Words of `text` between runs of `separators`, never splitting inside balanced { }. Source: mystrtokq(3)."""
    words: list[str] = []
    word: list[str] = []
    depth = 0
    for char in text:
        if depth == 0 and char in separators:
            if word:
                words.append("".join(word))
                word = []
            continue
        depth += {"{": 1, "}": -1 if depth else 0}.get(char, 0)
        word.append(char)
    return [*words, "".join(word)] if word else words


def unbraced(word: str) -> str | None:
    """The trimmed inside of a word that is exactly one { ... } group; None if its brace is not closed at its end."""
    depth = 0
    for index, char in enumerate(word):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth == 0:
            return word[1:-1].strip(SPACE) if index == len(word) - 1 and index > 0 else None
    return None
