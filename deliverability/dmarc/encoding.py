"""Bytes of an XML document as UTF-8 that expat takes, whatever they claim to be.

Reporters declare UTF-8 and send windows-1252, declare UTF-16 in ASCII, put a byte order mark before it, or blanks.
"""

import codecs
import re
from collections.abc import Iterable, Iterator

_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_CONTROL = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
"""Characters that XML does not have."""
_WINDOWS_1252 = {0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)}
"""What stands for a byte that is no UTF-8. A table: a handler of Python's would be called for every single byte."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_KNOWN = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"}
"""Declarations that are followed; anything else is read as UTF-8, and what is not UTF-8 in it as windows-1252."""


def utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The document's text in UTF-8, without what precedes its first tag; for a parser that ignores declarations."""
    decoder: codecs.IncrementalDecoder | None = None
    begun = False
    for chunk in chunks:
        if decoder is None:
            name, mark = sniff(chunk)
            decoder = codecs.getincrementaldecoder(name)("surrogateescape" if name == "utf-8" else "replace")
            chunk = chunk[mark:]
        plain = name == "utf-8" and chunk.isascii() and not decoder.getstate()[0]
        text = (chunk if plain else _bytes(decoder.decode(chunk))).translate(None, _CONTROL)
        if not begun:
            text = text.lstrip(b" \t\r\n")
            begun = bool(text)
        if text:
            yield text
    if decoder is not None and (rest := decoder.decode(b"", final=True)):
        yield _bytes(rest).translate(None, _CONTROL)


def sniff(head: bytes) -> tuple[str, int]:
    """The encoding of a document that begins with `head`, and the length of its byte order mark."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name, len(mark)
    for pattern, name in _UNMARKED:
        if head.lstrip(b" \t\r\n").startswith(pattern):
            return name, 0
    declared = _DECLARED.search(head[:400])
    if declared is not None:
        try:
            name = codecs.lookup(declared[1].decode("ascii")).name
        except LookupError:
            name = "utf-8"
        if name in _KNOWN and name not in ("utf-8", "ascii"):
            return "cp1252" if name == "iso8859-1" else name, 0
    return "utf-8", 0


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.translate(_WINDOWS_1252).encode("utf-8", "replace")
