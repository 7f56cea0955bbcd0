"""The errors: one tree, as its file prints it, each with its exit code, and none loses a word between processes."""

import pickle
import re
from collections.abc import Iterator

import pytest

from deliverability import errors
from deliverability.errors import MalformedFile, RunbookError

EXIT_CODES = {"Refused": 3, "VerificationFailed": 4, "UndoFailed": 5, "Held": 75}


def printed() -> dict[str, tuple[str | None, int | None]]:
    """Name -> (parent, exit code) as the docstring draws it."""
    found: dict[str, tuple[str | None, int | None]] = {}
    parents: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    (?P<branch>(?:│   |    )*(?:├── |└── )?)(?P<name>[A-Z]\w+) {2,}(?P<rest>.*)", line)
        if match:
            depth = len(match["branch"]) // 4
            code = re.match(r"exit +(\d+)", match["rest"])
            found[match["name"]] = (parents[depth - 1] if depth else None, int(code[1]) if code else None)
            parents[depth:] = [match["name"]]
    return found


def tree(kind: type[RunbookError]) -> Iterator[type[RunbookError]]:
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from tree(below)


KINDS = list(tree(RunbookError))


def test_the_printed_tree_is_the_real_one() -> None:
    drawn = {name: parent for name, (parent, _) in printed().items()}
    assert drawn == {kind.__name__: kind.__base__.__name__ if kind is not RunbookError else None for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_exit_codes_are_those_of_the_command_line(kind: type[RunbookError]) -> None:
    expected = next((EXIT_CODES[above.__name__] for above in kind.__mro__ if above.__name__ in EXIT_CODES), 1)
    assert kind.exit_code == expected
    assert printed()[kind.__name__][1] in (None, expected)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling(kind: type[RunbookError]) -> None:
    if kind is MalformedFile:
        error: RunbookError = MalformedFile("/etc/postfix/main.cf", 7, "a NUL character")
    elif issubclass(kind, errors.Refused):
        error = kind("no plan", ["first", "second"], next_step="settle these")
    else:
        error = kind("the fact", next_step="type this")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert (str(again), again.args, again.exit_code) == (str(error), error.args, kind.exit_code)


def test_a_message_holds_the_fact_the_reasons_and_the_next_step() -> None:
    refused = errors.Refused("nothing is planned", ["one", "two"], next_step="settle these")
    assert str(refused) == "nothing is planned\n  - one\n  - two\n  next: settle these"
    assert refused.reasons == ("one", "two")
    assert str(errors.HostError("no answer")) == "no answer"
    malformed = MalformedFile("/etc/hosts", 3, "no address")
    assert (malformed.path, malformed.line) == ("/etc/hosts", 3)
    assert str(malformed) == "/etc/hosts:3: no address\n  next: correct line 3 of /etc/hosts and plan again"
