"""Read main.cf and take parameters out of it. Source: postconf(5), postconf(1) -X, Postfix 3.7 mac_expand(3)."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from deliverability.errors import MalformedFile
from deliverability.postfix.logical import logical_lines, split_assignment, unbraced
from deliverability.postfix.plaintext import SPACE, require_plain, without_lines

PATH = "/etc/postfix/main.cf"

MAX_DEPTH = 20
"""Deepest nesting of $name references that is followed."""

MAX_EXPANDED = 200_000
"""Longest expanded value, in characters."""

SERVICE_SUFFIXES = (
    "_delivery_slot_cost",
    "_delivery_slot_discount",
    "_delivery_slot_loan",
    "_destination_concurrency_failed_cohort_limit",
    "_destination_concurrency_limit",
    "_destination_concurrency_negative_feedback",
    "_destination_concurrency_positive_feedback",
    "_destination_rate_delay",
    "_destination_recipient_limit",
    "_extra_recipient_limit",
    "_initial_destination_concurrency",
    "_minimum_delivery_slots",
    "_recipient_limit",
    "_recipient_refill_delay",
    "_recipient_refill_limit",
    "_time_limit",
    "_transport_rate_delay",
)
"""What may follow a service's name in the parameters that belong to that service (postconf(5), transport_...)."""

_REFERENCE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>\w+)|(?P<open>[({]))", re.ASCII)


class UnknownParameter(KeyError):
    """A parameter was named that main.cf does not set."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Parameter:
    """One `name = value` of main.cf: `value` unexpanded, continuation lines joined; `lines` are its own lines."""

    name: str
    value: str
    lines: tuple[int, ...]


@dataclass(frozen=True)
class MainCf:
    """A parsed main.cf: every setting in file order, and the text it came from. The last setting of a name wins."""

    text: str
    path: str
    parameters: tuple[Parameter, ...]

    @property
    def values(self) -> dict[str, str]:
        """The unexpanded value of every parameter that is set."""
        return {parameter.name: parameter.value for parameter in self.parameters}

    @property
    def duplicates(self) -> tuple[str, ...]:
        """Names that are set more than once."""
        names = [parameter.name for parameter in self.parameters]
        return tuple(name for name in dict.fromkeys(names) if names.count(name) > 1)

    def value(self, name: str, default: str = "") -> str:
        """The unexpanded value of `name`, or `default` (main.cf does not hold Postfix's built-in defaults)."""
        return self.values.get(name, default)

    def expand(self, value: str, defaults: Mapping[str, str] | None = None) -> str:
        """`value` with $name, ${name}, $(name), ${name?yes}, ${name:no}, ${name?{yes}:{no}} replaced, also in results.

        A name that neither main.cf nor `defaults` (Postfix's own, from `postconf -d`) knows stays as it is written, as
        does a comparison ${{a} == {b} ? ...}. MalformedFile where references nest too deep, as in a circle.
        """
        return _Expansion(self, {**(defaults or {}), **self.values}).expand(value, 0)


def parse(text: str, path: str = PATH) -> MainCf:
    """Parse the text of a main.cf; MalformedFile for a line that is no `name = value`."""
    require_plain(text, path)
    parameters = []
    for line in logical_lines(text):
        assignment = split_assignment(line.text)
        if assignment is None:
            raise MalformedFile(path, line.line, f"no `name = value`: {line.text[:60]!r}")
        parameters.append(Parameter(*assignment, line.lines))
    return MainCf(text, path, tuple(parameters))


def without(parsed: MainCf | str, names: Collection[str]) -> str:
    """The text without the settings of these parameters, all of them where one is set several times.

    Comment and blank lines stay, also those inside a setting, as with `postconf -X`. Raises UnknownParameter for a name
    that is not set, MalformedFile for a text that is no main.cf.
    """
    main = parse(parsed) if isinstance(parsed, str) else parsed
    missing = sorted(set(names) - set(main.values))
    if missing:
        raise UnknownParameter(f"{main.path} does not set {', '.join(missing)}")
    return without_lines(main.text, {n for setting in main.parameters if setting.name in names for n in setting.lines})


def service_parameters(parsed: MainCf, service_name: str) -> tuple[str, ...]:
    """The parameters main.cf sets for this one service, in file order: for out1 never those of out10 or hcout1."""
    own = {service_name + suffix for suffix in SERVICE_SUFFIXES}
    return tuple(name for name in parsed.values if name in own)


class _Expansion:
    def __init__(self, main: MainCf, values: Mapping[str, str]) -> None:
        self._main = main
        self._values = values
        self._written = 0

    def expand(self, text: str, depth: int) -> str:
        if depth > MAX_DEPTH:
            raise self._malformed(text, f"references nest deeper than {MAX_DEPTH}, perhaps in a circle")
        out: list[str] = []
        at = 0
        while match := _REFERENCE.search(text, at):
            out.append(self._literal(text, text[at : match.start()]))
            at, replacement = self._reference(text, match, depth)
            out.append(replacement)
        out.append(self._literal(text, text[at:]))
        return "".join(out)

    def _literal(self, text: str, literal: str) -> str:
        self._written += len(literal) + 1
        if self._written > MAX_EXPANDED:
            raise self._malformed(text, f"a value expands to more than {MAX_EXPANDED} characters")
        return literal

    def _reference(self, text: str, match: re.Match[str], depth: int) -> tuple[int, str]:
        if match["dollar"]:
            return match.end(), "$"
        if match["name"]:
            return match.end(), self._named(match["name"], match[0], depth)
        end = _closing(text, match.end() - 1)
        if end is None:
            raise self._malformed(text, f"a reference is not closed: {text[match.start() :][:60]!r}")
        return end, self._conditional(text[match.end() : end - 1], text[match.start() : end], depth)

    def _named(self, name: str, written: str, depth: int) -> str:
        return self.expand(self._values[name], depth + 1) if name in self._values else written

    def _conditional(self, inside: str, written: str, depth: int) -> str:
        match = re.fullmatch(r"\s*(\w+)\s*(?:([?:])(.*))?", inside, re.ASCII | re.DOTALL)
        if match is None or match[1] not in self._values:
            return written
        if match[2] is None:
            return self._named(match[1], written, depth)
        yes, no = _branches(match[2], match[3])
        return self.expand(yes if self._values[match[1]] else no, depth + 1)

    def _malformed(self, text: str, fact: str) -> MalformedFile:
        lines = [setting.lines[0] for setting in self._main.parameters if setting.value == text]
        return MalformedFile(self._main.path, lines[-1] if lines else 1, fact)


def _closing(text: str, start: int) -> int | None:
    """The index after the bracket that closes the one at `start`, counting only brackets of the same kind."""
    opener, closer = text[start], {"(": ")", "{": "}"}[text[start]]
    depth = 0
    for index in range(start, len(text)):
        depth += {opener: 1, closer: -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return None


def _branches(operator: str, rest: str) -> tuple[str, str]:
    """The texts for a non-empty and for an empty value, from what follows `name?` or `name:`."""
    rest = rest.strip(SPACE)
    end = _closing(rest, 0) if rest.startswith("{") else None
    first = (unbraced(rest[:end]) or "") if end else rest
    if operator == ":":
        return "", first
    other = rest[end:].lstrip(SPACE) if end else ""
    other = other.removeprefix(":").strip(SPACE)
    return first, (unbraced(other) or "") if other.startswith("{") else other
