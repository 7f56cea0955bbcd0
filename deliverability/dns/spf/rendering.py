"""Write an SPF record so that it arrives as it was meant. Source: RFC 7208 3.3 and 3.4, HestiaCP 1.9.4 and 1.10.3."""

from deliverability.dns.spf.terms import MAX_LENGTH, VERSION, Mechanism, Spf
from deliverability.errors import SpfError

STRING_BYTES = 255
"""Bytes one string of a TXT record can hold; a record is its strings joined without a space (RFC 7208 3.3)."""

ANSWER_BYTES = 450
"""Name and TXT records together that still fit into one UDP answer (RFC 7208 3.4)."""


def render(spf: Spf) -> str:
    """The text of the record, as one unsplit value, with no space where HestiaCP loses it.

    A space that would stand there is moved by writing the `+` of a term before it, which otherwise goes unwritten and
    changes nothing: `parse(render(spf))` is `spf`. SpfError where no term can take one, and for a text that no TXT
    record can hold. A text over ANSWER_BYTES is for `problems` to name: it works, over TCP.
    """
    words = [VERSION, *map(str, spf.terms)]
    can_take = {number for number, term in enumerate(spf.terms, 1) if isinstance(term, Mechanism) and term.passes}
    text = " ".join(words)
    while lost := lost_spaces(text):
        number = _last_before(lost[0], words, can_take)
        words[number] = f"+{words[number]}"
        can_take.remove(number)
        text = " ".join(words)
    if len(text) > MAX_LENGTH:
        fact = f"the record has {len(text)} bytes, and a TXT record holds {MAX_LENGTH}"
        raise SpfError(fact, next_step="list fewer addresses")
    return text


def lost_spaces(text: str) -> tuple[int, ...]:
    """The numbers, counted from 1, of the characters that are spaces and that HestiaCP loses: 256, 511, 766, ...

    It cuts a long value into strings of 255 bytes and drops the space with which one begins, so that two terms become
    one, which is a permerror; its own listing still shows the space.
    """
    return tuple(at + 1 for at in range(STRING_BYTES, len(text), STRING_BYTES) if text[at] == " ")


def strings(text: str) -> tuple[str, ...]:
    """The text as the strings of one TXT record, each of at most 255 bytes; SpfError for what is not ASCII."""
    if not text.isascii():
        raise SpfError("a record outside ASCII", next_step="write the record in ASCII")
    return tuple(text[at : at + STRING_BYTES] for at in range(0, len(text), STRING_BYTES))


def answer_bytes(domain: str, txt_records: tuple[str, ...]) -> int:
    """The length that RFC 7208 3.4 limits to ANSWER_BYTES: the name and all its TXT records, not only the SPF one."""
    return len(domain) + sum(len(text) for text in txt_records)


def _last_before(lost: int, words: list[str], can_take: set[int]) -> int:
    """The last word that may take a `+` and begins in the same string as the space that would be lost."""
    begins, fitting = 0, []
    for number, word in enumerate(words):
        if number in can_take and lost - STRING_BYTES < begins + 1 < lost:
            fitting.append(number)
        begins += len(word) + 1
    if not fitting:
        fact = f"character {lost} is a space, which HestiaCP would lose, so that two terms become one"
        raise SpfError(fact, next_step="reorder the terms, or shorten one of those before it")
    return fitting[-1]
