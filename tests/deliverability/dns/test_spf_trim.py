"""Trimming: every case of spf_trimmed, and for hundreds of generated records that nobody is lost or let in.

NAME.again.json is the second run: of the trimmed record, in which nothing is left to trim; after a refusal, of the
record as somebody leaves it who does what the reason says.
"""

import json
import random
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from deliverability.dns import spf
from deliverability.errors import LookupFailed, Refused

CASES = Path(__file__).parents[2] / "cases" / "spf_trimmed"
FILES = sorted(CASES.glob("*.json"))
FIRSTS = [path for path in FILES if not path.name.endswith(".again.json")]
SEEDS = range(250)


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def trim(given: dict[str, Any]) -> str:
    old = spf.parse(given["record"])
    return spf.render(spf.trimmed(old, given["domain"], given["live"], spf.offline(given["zone"])))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = load(path)
    if "refused" in case["expect"]:
        with pytest.raises(Refused) as caught:
            trim(case["given"])
        assert len(caught.value.reasons) == len(case["expect"]["refused"]), caught.value.reasons
        assert all(part in why for part, why in zip(case["expect"]["refused"], caught.value.reasons, strict=True))
    else:
        assert trim(case["given"]) == case["expect"]["record"]


@pytest.mark.parametrize("path", FIRSTS, ids=lambda path: path.stem)
def test_the_second_run_trims_nothing_more(path: Path) -> None:
    first, again = load(path), load(path.with_name(f"{path.stem}.again.json"))
    if "refused" in first["expect"]:
        assert again["given"] != first["given"]
        assert "record" in again["expect"]
    else:
        assert again["given"] == {**first["given"], "record": first["expect"]["record"]}
        assert again["expect"] == first["expect"]


def test_a_question_without_answer_is_no_reason_to_trim() -> None:
    lookup = spf.offline({"example.com": {"A": None}})
    with pytest.raises(LookupFailed):
        spf.trimmed(spf.parse("v=spf1 a ip4:192.0.2.1 -all"), "example.com", ["192.0.2.1"], lookup)
    with pytest.raises(LookupFailed):
        spf.trimmed(spf.parse("v=spf1 ip4:192.0.2.1 a -all"), "example.com", ["192.0.2.1"], lookup)


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        spf.trimmed(spf.parse("v=spf1 a -all"), "example.com", ["192.0.2.256"], spf.offline({}))


ZONE = {
    "example.com": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"], "MX": ["mx.example.com"]},
    "mx.example.com": {"A": ["192.0.2.3"]},
    "host.example.com": {"A": ["192.0.2.17"]},
    "in.example.com": {"TXT": ["v=spf1 -ip4:192.0.2.9 ip4:192.0.2.8/30 a:host.example.com ?all"]},
    "wide.example.com": {"TXT": ["v=spf1 include:in.example.com ip4:192.0.2.16/29 ~all"]},
    "192.0.2.20.ok.example.com": {"A": ["127.0.0.2"]},
}
EVERYBODY = [*(f"192.0.2.{n}" for n in range(32)), "2001:db8::1", "2001:db8::2", "203.0.113.1"]
TERMS = [
    *("a", "mx", "a/30", "mx/29", "a//127", "a:host.example.com", "a:host.example.com/30", "include:in.example.com"),
    *("include:wide.example.com", "exists:%{i}.ok.example.com", "ip6:2001:db8::/126", "ip6:2001:db8::1"),
    *(f"ip4:192.0.2.{n}" for n in range(0, 32, 3)),
    *(f"ip4:192.0.2.{n}/{length}" for n, length in ((0, 28), (8, 30), (16, 29), (4, 31), (0, 27))),
]


def generated(seed: int) -> spf.Spf:
    chance = random.Random(seed)
    words = [
        chance.choices(["", "-", "~", "?"], [12, 1, 1, 1])[0] + chance.choice(TERMS)
        for _ in range(chance.randint(1, 9))
    ]
    return spf.parse(" ".join(["v=spf1", *words, chance.choice(["-all", "~all", "?all", "+all", ""])]))


def passing(record: spf.Spf) -> set[str]:
    lookup = spf.as_if(spf.offline(ZONE), {"example.com": spf.render(record)})
    return {ip for ip in EVERYBODY if spf.evaluate(ip, "example.com", lookup).verdict is spf.Verdict.PASS}


def attempts() -> Iterator[tuple[spf.Spf, list[str], spf.Spf | None]]:
    for seed in SEEDS:
        old, chance = generated(seed), random.Random(-seed)
        may = sorted(passing(old))
        live = chance.sample(may, min(len(may), chance.randint(1, 4)))
        try:
            yield old, live, spf.trimmed(old, "example.com", live, spf.offline(ZONE))
        except Refused:
            yield old, live, None


def test_no_live_sender_is_lost_and_nobody_is_let_in() -> None:
    trimmed = 0
    for old, live, new in attempts():
        if new is None:
            continue
        assert set(live) <= passing(new) <= passing(old), (str(old), live, str(new))
        assert len(new.terms) <= len(old.terms) + len(live), (str(old), str(new))
        assert spf.trimmed(new, "example.com", live, spf.offline(ZONE)) == new, (str(old), str(new))
        trimmed += 1
    # The rest are refused: nobody passes, or order decides.
    assert trimmed > len(SEEDS) * 0.8


def test_who_is_authorised_is_who_passes() -> None:
    for seed in SEEDS:
        record = generated(seed)
        networks = spf.authorised(record, "example.com", spf.offline(ZONE))
        listed = {ip for ip in EVERYBODY if any(ip_address(ip) in network for network in networks)}
        if not any("exists" in str(term) for term in record.terms):
            assert listed == passing(record), str(record)
