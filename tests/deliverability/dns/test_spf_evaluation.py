"""Every case of spf_evaluate: the verdict RFC 7208 gives, and that pyspf, an independent evaluator, gives it as well.

`given.zone` is the DNS: name -> type -> answers, null for a server that fails. Each question of `expect` holds the
client's `ip`, the `sender` (MAIL FROM) or the `helo` name, the `verdict`, and any field of Result. Where pyspf 2.0.14
deviates, `pyspf` is what it answers, and `because` names the paragraph of RFC 7208 that says otherwise.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spf as pyspf

from deliverability.dns import spf

FILES = sorted((Path(__file__).parents[2] / "cases" / "spf_evaluate").glob("*.json"))
FIELDS = ("mechanism", "lookups", "voids", "explanation")
KEYS = {"ip", "sender", "helo", "verdict", "pyspf", "because", *FIELDS}

Zone = dict[str, dict[str, list[str] | None]]


def questions(path: Path) -> Iterator[tuple[Zone, dict[str, Any]]]:
    case = json.loads(path.read_text())
    for question in case["expect"]:
        yield case["given"]["zone"], question


ALL = [(path.stem, number, *both) for path in FILES for number, both in enumerate(questions(path), 1)]
DEVIATING = [case for case in ALL if "pyspf" in case[3]]
each = pytest.mark.parametrize(
    ("zone", "question"), [pytest.param(*case[2:], id=f"{case[0]}-{case[1]}") for case in ALL]
)


def ask(zone: Zone, question: dict[str, Any]) -> spf.Result:
    sender, helo = question.get("sender", ""), question.get("helo", "")
    domain = sender.rpartition("@")[2] if sender else helo
    return spf.evaluate(question["ip"], domain, spf.offline(zone), sender=sender, helo=helo)


def ask_pyspf(zone: Zone, question: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    known = {name.lower(): answers for name, answers in zone.items()}

    def lookup(name: str, kind: str, *_: object) -> list[tuple[tuple[str, str], object]]:
        answers = known.get(name.lower(), {}).get(kind, [])
        if answers is None:
            raise pyspf.TempError("DNS: no answer")
        return [((name, kind), _in_its_form(kind, number, answer)) for number, answer in enumerate(answers)]

    monkeypatch.setattr(pyspf, "DNSLookup", lookup)
    query = pyspf.query(i=question["ip"], s=question.get("sender", ""), h=question.get("helo", ""))
    try:
        return str(query.check()[0])
    except ValueError:
        return "crash"


def _in_its_form(kind: str, number: int, answer: str) -> object:
    return {"MX": (number, answer), "TXT": [answer.encode()], "PTR": answer.removesuffix(".")}.get(kind, answer)


@each
def test_verdict(zone: Zone, question: dict[str, Any]) -> None:
    assert set(question) <= KEYS
    result = ask(zone, question)
    expected = {key: question[key] for key in ("verdict", *FIELDS) if key in question}
    assert {key: getattr(result, key) for key in expected} == expected, result.reason
    assert result.reason


@each
def test_pyspf_agrees(zone: Zone, question: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask_pyspf(zone, question, monkeypatch) == question.get("pyspf", question["verdict"])


def test_there_are_hundreds_and_the_exceptions_are_few_and_founded() -> None:
    assert len(ALL) > 600
    assert len(DEVIATING) < len(ALL) / 20
    assert all(question["because"][0].isdigit() for *_, question in DEVIATING)
    assert {question["verdict"] for *_, question in ALL} == set(spf.Verdict)
