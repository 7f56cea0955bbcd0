"""Every attack ends in its verdict, within bounds of memory and time that the machine itself enforces."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.limits import LIMITS, Limits
from deliverability.errors import BadReport
from rehearsal.dmarc import attacks
from tests.deliverability.dmarc.written import DAY, NOW, Bytes, record, report

FILES = attacks.files(DAY)
ROOT = Path(__file__).parents[3]
MESSAGES = 5
"""In a whole report."""

CPU_SECONDS = 300
"""For all of them together, on a machine that is slow and busy; one that is read in linear time takes seconds."""

ADDRESSES = 700 << 20
"""Bytes of address space: the interpreter with its libraries has 200 MB, the mail itself may be 32 MB."""

RESIDENT = 120 << 10
"""Kilobytes more in memory for all of them than before the first one, however much is packed in them."""

PLAY = f"""
import json
from resource import RUSAGE_SELF, getrusage
from deliverability.dmarc.intake import Rules
from rehearsal.dmarc import attacks
from tests.deliverability.dmarc.written import DAY, taken
rules = Rules(ours=("performancewest.net",), now={NOW})
for name, (make, _, _) in attacks.files(DAY).items():
    raw, before = make(), getrusage(RUSAGE_SELF).ru_maxrss
    result, kept = taken(raw, rules)
    grown = getrusage(RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([name, result.outcome, result.reason, dict(result.dropped), kept.messages, grown]), flush=True)
"""


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))


Played = dict[str, tuple[str, str, dict[str, int], int, int]]


@pytest.fixture(scope="module")
def played() -> Played:
    done = subprocess.run(
        [sys.executable, "-c", PLAY], cwd=ROOT, capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    return {name: tuple(rest) for name, *rest in map(json.loads, done.stdout.splitlines())}


def test_there_are_as_many_as_there_should_be() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("name", FILES)
def test_it_ends_in_its_verdict(name: str, played: Played) -> None:
    _, verdict, words = FILES[name]
    outcome, reason, dropped, messages, _ = played[name]
    assert (outcome, words in f"{reason} {dropped}") == (verdict, True), (outcome, reason, dropped)
    assert messages == MESSAGES * attacks.read_in(name, verdict, words)


def test_together_they_take_little_memory(played: Played) -> None:
    grown = {name: one[-1] for name, one in played.items()}
    assert sum(grown.values()) < RESIDENT, sorted(grown.items(), key=lambda one: -one[1])[:5]


def test_as_many_documents_of_a_mail_are_read_as_the_attacks_say() -> None:
    assert LIMITS.documents == attacks.DOCUMENTS


def test_elements_without_end_are_refused() -> None:
    reading = Reading(Bytes(report(record("<record >") * 10).encode()), NOW, limits=Limits(tags=50))
    with pytest.raises(BadReport, match="over 50 tags"):
        list(reading.batches())
