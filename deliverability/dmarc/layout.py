"""How a record is laid out: all of it but the text of its innermost elements.

A layout of plain elements is checked once: that they are closed in their order, and which text is which field. A record
that is the same to the byte but for such text is well-formed too, and needs no XML parser.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from deliverability.dmarc.grammar import FEEDBACK, FIELDS, PARTS, Node

_PLAIN = re.compile(r"(?:<(?:/[A-Za-z_]+|[A-Za-z_]+/?)>[^<>&]*)+")
"""Elements and text: no attributes, comments, entities or sections of text."""
_TAG = re.compile(r"<(/?)([A-Za-z_]+)(/?)>")
_TEXT = r"[^<>&\r]{0,4096}"
_LEAF = re.compile(rf"<([A-Za-z_]+)>{_TEXT}</\1>")
_VARYING = re.compile("<(source_ip|count)>")
_TAGS = 200
"""Of one record: compiling takes longer the more there are, and no reporter's records have so many."""
_DEPTH = 16
_OTHER = Node()
"""An element that is none of a report's."""

MISSING = -1

Element = tuple[str, dict[str, int]]
"""What is to be done at its end, and the numbers of the texts that came until then, by field."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Numbers are those of texts, or MISSING."""

    pattern: re.Pattern[str]
    """Its groups are the texts."""
    fields: tuple[int, ...]
    """What a record has once, in the order of FIELDS."""
    dkim: tuple[tuple[int, ...], ...]
    spf: tuple[tuple[int, ...], ...]
    reasons: tuple[tuple[int, ...], ...]
    """What it may have many times, each in the order of PARTS."""
    repeats: bool
    """Whether address and count stand there once, in this order."""


def of(record: str) -> Layout | None:
    """The layout of a record in ASCII; None if it is no XML, or written in a way that only a parser knows all about."""
    if record.count("<") > _TAGS:
        return None
    return _layout(_LEAF.sub(r"<\1></\1>", record))


@lru_cache(maxsize=1 << 8)  # compiling takes milliseconds, and all reports of a reporter are laid out alike
def _layout(skeleton: str) -> Layout | None:
    elements = _elements(skeleton) if _PLAIN.fullmatch(skeleton) else []
    fields = {name: number for _, texts in elements for name, number in texts.items() if name in FIELDS}
    if not {"source_ip", "count"} <= fields.keys():
        return None
    empty = re.compile(r"<([A-Za-z_]+)>(?=</\1>)")
    pattern = "".join(
        f"<{part}>({_TEXT})" if number % 2 else re.escape(part) for number, part in enumerate(empty.split(skeleton))
    )
    parts = {kind: tuple(_numbers(elements, kind, names)) for kind, names in PARTS.items()}
    return Layout(
        re.compile(pattern),
        tuple(fields.get(name, MISSING) for name in FIELDS),
        parts["dkim"],
        parts["spf"],
        parts["reason"],
        repeats=_VARYING.findall(skeleton) == ["source_ip", "count"],
    )


def _numbers(elements: list[Element], kind: str, names: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    for at_end, texts in elements:
        if at_end == kind:
            yield tuple(texts.get(f"{kind}.{name}", MISSING) for name in names)


def _elements(skeleton: str) -> list[Element]:
    """Those at whose end something is done, as the parser walks through it; none if it might walk otherwise."""
    elements: list[Element] = []
    stack, names, opened = [FEEDBACK], [""], -1
    texts: dict[str, int] = {}
    number = 0
    for tag in _TAG.finditer(skeleton):
        end, name, empty = tag.groups()
        if not end:
            other_case = name not in stack[-1] and name.lower() in stack[-1]
            if other_case or len(stack) > _DEPTH:
                return []
            stack.append(stack[-1].get(name, _OTHER))
            names.append(name)
            opened = -1 if empty else tag.end()
        if end or empty:
            node, has_text = stack.pop(), tag.start() == opened
            if names.pop() != name or (node.keep and not has_text):
                return []
            if has_text:
                texts[node.keep] = number
                number += 1
            if node.at_end:
                elements.append((node.at_end, texts))
                texts = {}
    return elements if len(stack) == 1 else []
