"""The gate in a plain process: every way to answer, and every way not to."""

import getpass
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from deliverability.decision import Choice, Decision
from deployments.settings import environment, port_of
from flows.gates.gate import gate
from tests.flows.gated import plan
from tests.flows.prefect_lab import lab
from tests.flows.terminal import CTRL_C, CTRL_D, ROOT, Terminal

DIGEST = plan().short_digest
DECISION, NAME, REASON = "decision: approve or reject [reject]: ", "name: who decides", "reason: why, for the report: "
SETUP = """
from datetime import UTC, datetime, timedelta
from flows.gates.gate import gate
from tests.flows.gated import plan
def ask(seconds):
    due = datetime.now(UTC) + timedelta(seconds=seconds)
    print(gate(plan(), "# The plan\\n\\x1b[2Jof mta", key="approve", deadline=due).model_dump_json(), flush=True)
"""
GATES = 20


@pytest.fixture(scope="module")
def process() -> Iterator[Terminal]:
    """A process that comes to one gate after the other: Python needs long to start."""
    terminal = Terminal(f"{SETUP}for gate_number in range({GATES}): ask(600)")
    yield terminal
    terminal.close()


@pytest.fixture
def person(process: Terminal) -> Terminal:
    """A person who sees the plan of the next gate."""
    process.wait_for("# The plan")
    return process


def decision(person: Terminal) -> Decision:
    return Decision.model_validate_json(person.output())


def test_approve(person: Terminal) -> None:
    shown = person.wait_for(DECISION)
    assert "of mta" in shown
    assert "\x1b" not in shown
    assert f"Its digest is {DIGEST}." in shown
    person.type("approve\n")
    person.wait_for("digest: ")
    person.type(f"{DIGEST}\n")
    person.wait_for(f"{NAME}: ")
    person.type("Ann\x1b[A Onym\n")
    person.wait_for(REASON)
    person.type("because\n")
    taken = decision(person)
    assert (taken.choice, taken.by, taken.reason, taken.via) == (Choice.APPROVE, "Ann [A Onym", "because", "terminal")
    assert taken.digest == plan().digest


def test_what_cannot_be_taken_is_asked_again(person: Terminal) -> None:
    for typed, refusal in (
        (("yes",), "the decision is 'yes'; type approve or reject"),
        (("approve", "abc", "Ann", ""), "the digest has 3 characters"),
        (("approve", "0" * 12, "Ann", ""), f"the digest {'0' * 12} is not of this plan, which is {DIGEST}"),
        (("approve", DIGEST, "", ""), "the name is empty"),
    ):
        person.wait_for(DECISION)
        person.type("\n".join(typed) + "\n")
        person.wait_for(f"That cannot be taken: {refusal}")
    person.wait_for(DECISION)
    person.type("reject\nAnn\nnot today\n")
    taken = decision(person)
    assert (taken.choice, taken.by, taken.reason) == (Choice.REJECT, "Ann", "not today")


@pytest.mark.parametrize(
    ("typed", "by", "reason"),
    [
        ("\n\n\n", getpass.getuser(), ""),
        ("approve\n\n\n\n", getpass.getuser(), ""),
        (CTRL_D, getpass.getuser(), "end of input at the prompt"),
        (CTRL_C, getpass.getuser(), "interrupted at the prompt"),
        (f"approve\n{DIGEST}\nAnn\n{CTRL_D}", "Ann", "end of input at the prompt"),
    ],
    ids=["enter alone", "no digest", "ctrl-d", "ctrl-c", "ctrl-d after all but the reason"],
)
def test_anything_less_than_an_approval_rejects(person: Terminal, typed: str, by: str, reason: str) -> None:
    person.wait_for(DECISION)
    person.type(typed)
    taken = decision(person)
    assert (taken.choice, taken.by, taken.reason, taken.via) == (Choice.REJECT, by, reason, "terminal")


def test_the_deadline_ends_the_prompt() -> None:
    person = Terminal(f"{SETUP}ask(0.5)")
    taken = decision(person)
    person.close()
    assert (taken.choice, taken.by, taken.via) == (Choice.REJECT, "timeout", "timeout")


def test_no_terminal_rejects_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{SETUP}ask(600)"],
        input=f"approve\n{DIGEST}\nAnn\n\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
        check=True,
    )
    taken = Decision.model_validate_json(done.stdout)
    assert (taken.choice, taken.reason) == (Choice.REJECT, "no terminal to ask at")


def test_a_flow_in_a_plain_process_asks_at_the_terminal() -> None:
    code = "from tests.flows.gated import gated\nprint(gated(return_state=True).message, flush=True)"
    with lab() as prefect:
        person = Terminal(code, environment(prefect.home, port_of(prefect.home)))
        person.wait_for(DECISION)
        person.type(f"approve\n{DIGEST}\nAnn\nbecause\n")
        approved = decision(person).approved
        person.close()
    assert approved


def test_unattended_says_so() -> None:
    taken = gate(plan(), "", key="approve", deadline=datetime.now(UTC), unattended=True)
    assert (taken.choice, taken.by, taken.via) == (Choice.APPROVE, "rehearsal (unattended)", "unattended")


@pytest.mark.parametrize("key", ["", "Approve", "a b", "a_b", "-a", "a--b"])
def test_a_key_that_prefect_would_refuse_is_refused_before(key: str) -> None:
    with pytest.raises(ValueError, match="a gate needs a key"):
        gate(plan(), "", key=key, deadline=datetime.now(UTC) + timedelta(hours=1))


def test_a_deadline_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="an aware deadline"):
        gate(plan(), "", key="approve", deadline=datetime(2026, 1, 1, 12, 0))
