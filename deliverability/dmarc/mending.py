"""Text that is no XML, mended where real reporters break it: after expat has refused it, not before (it costs time).

A bare `&` or `<` in a name, an identifier in `<` and `>`, and a schema element that nobody closes (IKEA's reports).
"""

import re
from collections.abc import Iterable, Iterator

_SCHEMA = re.compile(rb"</?xs:schema[^<>]{0,4000}>")
_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_BRACKET = re.compile(rb"<(?!/?[A-Za-z_][A-Za-z0-9_.:-]{0,200}(?:[\s>]|/>)|[!?])")
LONGEST = 1 << 16
"""Bytes that are held back for the rest of a tag."""


def mended(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same text, in UTF-8, with what is broken in one of these ways escaped or left out."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = text.rfind(b">") + 1
        if not cut and len(text) > LONGEST:
            cut = len(text)
        rest = text[cut:]
        if cut:
            yield _mend(text[:cut])
    if rest:
        yield _mend(rest)


def _mend(text: bytes) -> bytes:
    return _BRACKET.sub(b"&lt;", _AMPERSAND.sub(b"&amp;", _SCHEMA.sub(b"", text)))
