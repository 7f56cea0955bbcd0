"""How a record is laid out: all of it but the text of its innermost elements.

A layout of plain elements is checked once: that they are closed in their order, and which text is which field. A record
that is the same to the byte but for such text is well-formed too, and needs no XML parser.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from deliverability.dmarc.grammar import FEEDBACK, Node

_PLAIN = re.compile(r"(?:<(?:/[A-Za-z_]+|[A-Za-z_]+/?)>[^<>&]*)+")
"""Elements and text: no attributes, comments, entities or sections of text."""
_TAG = re.compile(r"<(/?)([A-Za-z_]+)(/?)>")
_TEXT = r"[^<>&\r]{0,4096}"
_LEAF = re.compile(rf"<([A-Za-z_]+)>{_TEXT}</\1>")
_TAGS = 200
"""Of one record: compiling takes longer the more there are, and no reporter's records have so many."""
_DEPTH = 16
_OTHER = Node()
"""An element that is none of a report's."""

Step = tuple[tuple[str, ...], slice, str]
"""Fields and where their texts are, and what is to be done with them at an element's end."""


@dataclass(frozen=True, eq=False)
class Layout:
    pattern: re.Pattern[str]
    """Its groups are the texts."""
    steps: tuple[Step, ...]
    """What a parser does for such a record."""
    source: int
    count: int
    """The texts that are new in nearly every record; the first one stands before the second one."""


def of(record: str) -> Layout | None:
    """The layout of a record in ASCII; None if it is no XML, or written in a way that only a parser knows all about."""
    if record.count("<") > _TAGS:
        return None
    return _layout(_LEAF.sub(r"<\1></\1>", record))


@lru_cache(maxsize=1 << 8)  # compiling takes milliseconds, and all reports of a reporter are laid out alike
def _layout(skeleton: str) -> Layout | None:
    steps = _steps(skeleton) if _PLAIN.fullmatch(skeleton) else []
    fields = [field for names, _, _ in steps for field in names]
    texts = {field: number for number, field in enumerate(fields)}
    if not 0 <= texts.get("source_ip", -1) < texts.get("count", -1):
        return None
    empty = re.compile(r"<([A-Za-z_]+)>(?=</\1>)")
    pattern = "".join(
        f"<{part}>({_TEXT})" if number % 2 else re.escape(part) for number, part in enumerate(empty.split(skeleton))
    )
    return Layout(re.compile(pattern), tuple(steps), texts["source_ip"], texts["count"])


def _steps(skeleton: str) -> list[Step]:
    """As the parser walks through it; none if it might walk otherwise."""
    steps: list[Step] = []
    stack, names, opened = [FEEDBACK], [""], -1
    fields: list[str] = []
    first = 0
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
                fields.append(node.keep)
            if node.at_end:
                steps.append((tuple(fields), slice(first, first + len(fields)), node.at_end))
                first, fields = first + len(fields), []
    return steps if len(stack) == 1 else []
