"""Every JSON case of the three editors: given a text and what to remove, the new text byte for byte, or the error."""

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from deliverability.network import interfaces_edit
from deliverability.postfix import main_cf, master_cf

CASES = Path(__file__).parents[1] / "cases"
EDITORS: dict[str, Callable[[str, Collection[str]], str]] = {
    "master_cf_without": master_cf.without,
    "main_cf_without": main_cf.without,
    "interfaces_without": interfaces_edit.without,
}
QUESTIONS = {"spf_evaluate"}
"""Operations that only ask, so that a second run of one is the first."""

REFUSALS = (master_cf.UnknownService, main_cf.UnknownParameter, interfaces_edit.CannotRemove)
FILES = sorted(path for operation in EDITORS for path in (CASES / operation).glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path) -> None:
    case = load(path)
    without = EDITORS[path.parent.name]
    text, remove = case["given"]["text"], case["given"]["remove"]
    if "error" in case["expect"]:
        with pytest.raises(REFUSALS) as caught:
            without(text, remove)
        assert case["expect"]["error"] in str(caught.value)
    else:
        assert without(text, remove) == case["expect"]["text"]


@pytest.mark.parametrize("operation", EDITORS)
def test_every_case_has_a_sibling_that_changes_nothing(operation: str) -> None:
    cases = {path.name: load(path) for path in FILES if path.parent.name == operation}
    firsts = [name for name in cases if not name.endswith(".again.json")]
    assert len(firsts) > 5
    assert len(cases) == 2 * len(firsts)
    for name in firsts:
        again = cases[name.removesuffix(".json") + ".again.json"]
        after = cases[name]["expect"].get("text", cases[name]["given"]["text"])
        assert again["given"] == {"text": after, "remove": []}
        assert again["expect"] == {"text": after}


@pytest.mark.parametrize(
    "operation", sorted({folder.name for folder in CASES.iterdir() if folder.is_dir()} - QUESTIONS)
)
def test_every_case_of_every_operation_has_a_second_run(operation: str) -> None:
    names = {path.name for path in (CASES / operation).glob("*.json")}
    firsts = {name for name in names if not name.endswith(".again.json")}
    assert firsts
    assert names - firsts == {name.removesuffix(".json") + ".again.json" for name in firsts}
