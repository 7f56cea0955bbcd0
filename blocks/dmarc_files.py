"""Reports in files: a report as it was sent, a mail, an mbox, a maildir, or a folder with any of them."""

import mailbox
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deliverability.dmarc.limits import LIMITS, Limits
from deliverability.errors import BadReport, RunbookError

_HEAD = 5


@dataclass(frozen=True)
class Item:
    """A mail or a document, or why it cannot be read."""

    name: str
    """The file's path; of a mail in an mbox, with its number."""
    content: bytes | BadReport


def items(paths: Iterable[Path], limits: Limits = LIMITS) -> Iterator[Item]:
    """All of them, file by file in the order of their names. Raises RunbookError for a path that is not there."""
    for path in paths:
        if not path.exists():
            raise RunbookError(f"there is no {path}", next_step="name files or folders that are there")
        for file in _files(path):
            yield from _contents(file, limits)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders.sort()
        if {"cur", "new", "tmp"} <= {*folders}:  # a maildir: what else is in it is its server's own
            folders.remove("tmp")
            continue
        for name in sorted(names):
            file = Path(folder) / name
            if file.is_file() and not name.startswith("."):  # no pipes and devices
                yield file


def _contents(file: Path, limits: Limits) -> Iterator[Item]:
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD)
            if head == b"From ":
                yield from _mbox(file, limits)
                return
            size = os.fstat(opened.fileno()).st_size
            if size > limits.mail:
                yield Item(str(file), BadReport(f"over {limits.mail >> 20} MB"))
                return
            yield Item(str(file), head + opened.read(limits.mail))
    except OSError as error:
        yield Item(str(file), BadReport(f"it cannot be read: {error.strerror}"))


def _mbox(file: Path, limits: Limits) -> Iterator[Item]:
    box = mailbox.mbox(file, create=False)
    try:
        for number, key in enumerate(box.iterkeys(), 1):
            with box.get_file(key) as mail:
                raw = mail.read(limits.mail + 1)
            over = len(raw) > limits.mail
            yield Item(f"{file}:{number}", BadReport(f"over {limits.mail >> 20} MB") if over else raw)
    finally:
        box.close()
