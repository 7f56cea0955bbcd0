"""Documents out of what a mail carries: gzip, zip, either in the other, or plain. Bytes decide, never names or types.

Nothing is written to a disk, and nothing is unpacked before it is read: a gigabyte of zeros costs the limit, no more.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deliverability.dmarc.encoding import sniff
from deliverability.dmarc.limits import LIMITS, MEGABYTE, Limits
from deliverability.errors import BadReport

_GZIP = b"\x1f\x8b\x08"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD = 4096
_SMALL = 1 << 18
_NESTING = 2
"""Packed, and packed once more: some gateways do that."""
_ENTRY = b"PK\x01\x02"
"""Begins every entry of a zip file's directory."""
_PIECE = 1 << 16
_FREE = 16 * MEGABYTE
"""Unpacked bytes for which the ratio does not matter."""

Chunks = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Document:
    """One document, unpacked as often as it is read."""

    kind: str
    """xml, json, or other."""
    head: bytes
    """Its first bytes."""
    chunks: Chunks


def documents(data: bytes, limits: Limits = LIMITS) -> Iterator[Document]:
    """All documents in the bytes of a file or of a MIME part. Raises BadReport for a container that cannot be opened.

    Reading one of them raises BadReport where it is cut off, damaged, or over a limit. They come one by one: what is
    packed twice is held in memory until the next one is asked for.
    """
    return _documents(data, limits, _NESTING)


def digest(document: Document) -> tuple[str, int]:
    """sha256 of the unpacked document, as far as it can be unpacked: the same report packed anew is the same.

    And how many bytes that is.
    """
    found, size = hashlib.sha256(), 0
    try:
        for chunk in document.chunks():
            found.update(chunk)
            size += len(chunk)
    except BadReport:
        found.update(b"cut off")
    return found.hexdigest(), size


def packed(data: bytes) -> bool:
    return data.startswith((_GZIP, *_ZIP))


def _documents(data: bytes, limits: Limits, nesting: int) -> Iterator[Document]:
    if data.startswith(_GZIP):
        sources: list[Chunks] = [lambda: _limited(_inflated(data, limits), len(data), limits)]
    elif data.startswith(_ZIP):
        sources = _members(data, limits)
    else:
        yield Document(_kind(data[:_HEAD]), data[:_HEAD], lambda: _pieces(data))
        return
    for source in map(_kept, sources):
        head = _head(source)
        if not packed(head):
            yield Document(_kind(head), head, source)
        elif nesting:
            inner = b"".join(_limited(source(), 0, limits, MEGABYTE * 32))
            yield from _documents(inner, limits, nesting - 1)
        else:
            raise BadReport(f"packed more than {_NESTING} times")


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), MEGABYTE):
        yield data[start : start + MEGABYTE]


def _kept(source: Chunks) -> Chunks:
    """The same; unpacked once if it is small, as most reports are."""
    try:
        chunks = source()
        first = next(chunks, b"")
        if len(first) > _SMALL or next(chunks, None) is not None:
            return source
    except BadReport:
        return source
    return lambda: iter((first,))


def _head(source: Chunks) -> bytes:
    """The beginning; of what cannot be unpacked that of a report: what is wrong shows when it is read."""
    try:
        return next(source(), b"")[:_HEAD]
    except BadReport:
        return b"<"


def _inflated(data: bytes, limits: Limits) -> Iterator[bytes]:
    """All members of a gzip file. What follows the last one is padding or a mailer's, and is let be."""
    at = 0
    for _ in range(limits.members):
        member, rest = zlib.decompressobj(wbits=31), b""
        try:
            while not member.eof:
                # zlib copies what it has not used: of a piece, lest many members or a long one take quadratic time.
                piece = member.decompress(rest or data[at : at + _PIECE], MEGABYTE)
                at += 0 if rest else len(data[at : at + _PIECE])
                rest = member.unconsumed_tail
                if piece:
                    yield piece
                elif not rest and not member.eof and at >= len(data):
                    raise BadReport("cut off: the gzip data ends too early")
        except zlib.error as error:
            raise BadReport(f"damaged gzip data: {error}") from None
        at -= len(member.unused_data)
        if not data.startswith(_GZIP, at):
            return
    raise BadReport(f"over {limits.members} members in one gzip file")


def _members(data: bytes, limits: Limits) -> list[Chunks]:
    if (entries := data.count(_ENTRY)) > limits.members:  # before they are all in memory
        raise BadReport(f"{entries} files in one zip file, the limit is {limits.documents}")
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        found = [one for one in archive.infolist() if not one.is_dir() and not one.filename.startswith("__MACOSX/")]
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError) as error:
        raise BadReport(f"damaged zip file: {error}") from None
    if len(found) > limits.documents:
        raise BadReport(f"{len(found)} files in one zip file, the limit is {limits.documents}")

    def reading(member: zipfile.ZipInfo) -> Chunks:
        return lambda: _limited(_member(archive, member), max(1, member.compress_size), limits)

    return [reading(member) for member in found]


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    try:
        with archive.open(member) as file:
            while piece := file.read(MEGABYTE):
                yield piece
    except EOFError:
        raise BadReport("cut off: the zip file ends too early") from None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, OSError, ValueError) as error:
        raise BadReport(f"damaged zip file: {error}") from None


def _limited(chunks: Iterator[bytes], size: int, limits: Limits, most: int = 0) -> Iterator[bytes]:
    """The chunks, while they are within the limits; `size` is that of the packed bytes, 0 if it does not matter."""
    most = most or limits.inflated
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > most:
            raise BadReport(f"over {most // MEGABYTE} MB unpacked")
        if size and total > _FREE and total > size * limits.ratio:
            raise BadReport(f"unpacks to over {limits.ratio} times its size: no report does")
        yield chunk


def _kind(head: bytes) -> str:
    encoding, mark = sniff(head)
    text = head[mark:].decode(encoding, "replace").lstrip()
    if text.startswith("<") and not text[:20].lower().startswith(("<!doctype html", "<html")):
        return "xml"
    return "json" if text.startswith("{") else "other"
