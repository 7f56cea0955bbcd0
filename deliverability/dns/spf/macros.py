"""Macros of domain-specs and explanations. Source: RFC 7208, section 7."""

import re
from collections.abc import Callable, Iterable

MAX_NAME = 253
"""Characters a domain name may have (RFC 7208 7.3)."""

EXPLAINING = frozenset("crt")
"""Letters that only the text of an explanation may use (RFC 7208 7.2)."""

UNKNOWN_BEFOREHAND = frozenset("slopihcv")
"""Letters whose value depends on the message: a name with one of them cannot be listed without it."""

_MACRO = re.compile(
    r"%(?:\{(?P<letter>[slodiphvcrt])(?P<digits>[0-9]*)(?P<reverse>r?)(?P<delimiters>[-.+,/_=]*)\}|(?P<escape>[%_-]))",
    re.IGNORECASE,
)
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
_TOP_LABEL = re.compile(r"[A-Za-z0-9-]+")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

Letters = Callable[[str], str]
"""The value of a macro letter, given in lower case."""


def is_macro_string(text: str, allowed: Iterable[str] = ()) -> bool:
    """Whether every % of `text` begins a macro; of the letters c, r and t only those `allowed`."""
    matches = list(_MACRO.finditer(text))
    unmatched = text.count("%") - sum(match[0].count("%") for match in matches)
    return unmatched == 0 and all(_is_valid(match, frozenset(allowed)) for match in matches)


def is_domain_spec(text: str) -> bool:
    """Whether `text` is a domain-spec (RFC 7208 7.1): a macro string that ends in a macro or in a top label."""
    if not is_macro_string(text):
        return False
    *_, last = (None, *_MACRO.finditer(text))
    return (last is not None and last.end() == len(text)) or _ends_in_top_label(text)


def letters(text: str) -> frozenset[str]:
    """The macro letters `text` uses, in lower case."""
    return frozenset(match["letter"].lower() for match in _MACRO.finditer(text) if match["letter"])


def expand(text: str, value: Letters) -> str:
    """`text` with its macros replaced by what `value` gives for their letters."""
    return _MACRO.sub(lambda match: _expansion(match, value), text)


def shortened(name: str) -> str:
    """A name without its final dot and without as many labels on the left as it is too long by (RFC 7208 7.3)."""
    name = name.removesuffix(".")
    if len(name) <= MAX_NAME:
        return name
    return name[name.find(".", len(name) - MAX_NAME - 1) + 1 :]


def _is_valid(match: re.Match[str], allowed: frozenset[str]) -> bool:
    if match["escape"]:
        return True
    letter, digits = match["letter"].lower(), match["digits"]
    # A number of labels that is zero is a syntax error (RFC 7208 7.3).
    return (letter not in EXPLAINING or letter in allowed) and (not digits or digits.strip("0") != "")


def _ends_in_top_label(text: str) -> bool:
    _, dot, label = text.removesuffix(".").rpartition(".")
    is_label = _TOP_LABEL.fullmatch(label) is not None and not label.isdigit()
    return bool(dot) and is_label and not label.startswith("-") and not label.endswith("-")


def _expansion(match: re.Match[str], value: Letters) -> str:
    if match["escape"]:
        return _ESCAPES[match["escape"]]
    parts = re.split(f"[{re.escape(match['delimiters'] or '.')}]", value(match["letter"].lower()))
    if match["reverse"]:
        parts.reverse()
    # Nine digits are more labels than any name has; int() refuses some thousand of them.
    wanted = int(match["digits"].lstrip("0")[:9] or 0)
    expanded = ".".join(parts[-wanted:] if wanted else parts)
    return _url_escaped(expanded) if match["letter"].isupper() else expanded


def _url_escaped(text: str) -> str:
    encoded = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in encoded)
