"""The lines of a text file that is edited line by line and otherwise kept byte for byte."""

from collections.abc import Collection

from deliverability.errors import MalformedFile

SPACE = " \t\n\v\f\r"
"""White space as C's isspace() knows it; Python's own notion includes characters that no daemon skips."""


def require_plain(text: str, path: str) -> None:
    """Raise MalformedFile, with its line, for a carriage return or a NUL anywhere in `text`.

    Daemons read both in ways that differ from one to the next, so nothing is planned on such a file.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if "\r" in line:
            raise MalformedFile(path, number, "a carriage return; line ends must be a line feed alone")
        if "\0" in line:
            raise MalformedFile(path, number, "a NUL character")


def physical_lines(text: str) -> list[str]:
    """The lines of `text` with their line feeds; joined again they are `text`. Only a line feed ends a line."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def without_lines(text: str, numbers: Collection[int]) -> str:
    """`text` without the lines of these numbers (from 1); every other byte stays, a missing final line feed too."""
    return "".join(line for number, line in enumerate(physical_lines(text), start=1) if number not in numbers)
