"""The gate under a worker, as people and clocks meet it: a real server, a real worker, real suspended runs."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from prefect.states import Scheduled

from deliverability.decision import Choice
from deliverability.errors import GateError
from deployments import approvals
from tests.flows.gated import plan
from tests.flows.prefect_lab import Lab, lab, until

DIGEST = plan().short_digest
SCENARIOS = {"deadline": 8, "late": 8, "approve": 600, "reject": 600, "not taken": 600}
"""Every run of this file, and the seconds until its deadline."""

Runs = Mapping[str, UUID]


@pytest.fixture(scope="module")
def prefect() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def runs(prefect: Lab) -> Runs:
    """All runs start at once, and go to their gates side by side."""
    return {name: prefect.start(seconds=seconds) for name, seconds in SCENARIOS.items()}


def test_approve(prefect: Lab, runs: Runs) -> None:
    run = runs["approve"]
    asked = prefect.gate(run)
    assert asked.digest == plan().digest
    assert timedelta(minutes=8) < asked.deadline - datetime.now(UTC) < timedelta(minutes=10)
    assert asked.link == f"{prefect.url}/runs/flow-run/{run}"
    for part in (DIGEST, "192.0.2.77", f"runbook approve {asked.name} --digest {DIGEST}"):
        assert part in asked.shown
    approvals.answer(asked.name, "approve", DIGEST.upper(), " A\x1b[2Jnn\u202e ", "it\nis | fine", home=prefect.home)
    with pytest.raises(GateError, match="nothing waits for an answer"):
        prefect.answer(run, "reject")
    decision = prefect.decision(run)
    assert (decision.choice, decision.by, decision.reason) == (Choice.APPROVE, "A [2Jnn", "it is | fine")
    assert decision.digest == plan().digest
    assert decision.via == "Prefect UI or runbook approve"
    with pytest.raises(GateError, match=f"at run '{asked.name}': it is Completed since .*\n  next: runbook approvals"):
        approvals.answer(asked.name, "approve", DIGEST, "Bob", "", home=prefect.home)


@pytest.mark.parametrize(
    ("choice", "digest", "by", "refusal"),
    [
        ("approve", "0" * 12, "Ann", f"the digest {'0' * 12} is not of this plan, which is {DIGEST}"),
        ("approve", "", "Ann", "the digest has 0 characters"),
        ("approve", DIGEST, "\x1b\u200b ", "the name is empty"),
        ("reject", "", "", "the name is empty"),
        ("approve", DIGEST, "n" * 81, "the name has 81 characters"),
        ("maybe", DIGEST, "Ann", "the decision is 'maybe'"),
    ],
)
def test_a_bad_answer_is_not_sent(prefect: Lab, runs: Runs, choice: str, digest: str, by: str, refusal: str) -> None:
    asked = prefect.gate(runs["reject"])
    with pytest.raises(GateError, match=refusal) as caught:
        prefect.answer(runs["reject"], choice, digest, by)
    assert f"next: runbook approve {asked.name} --digest {DIGEST}" in str(caught.value)
    assert prefect.gate(runs["reject"]).shown == asked.shown


def test_the_form_refuses_what_is_too_long(prefect: Lab, runs: Runs) -> None:
    prefect.gate(runs["reject"])
    result = prefect.client.resume_flow_run(runs["reject"], run_input={"name": "n" * 81})
    assert result.status.value == "REJECT"
    assert "is too long" in str(result.details)


def test_reject_needs_a_name_only(prefect: Lab, runs: Runs) -> None:
    run = runs["reject"]
    asked = prefect.gate(run)
    approvals.answer(str(run)[:13], "reject", "", "Ann", "", home=prefect.home)
    decision = prefect.decision(run)
    assert (decision.choice, decision.by) == (Choice.REJECT, "Ann")
    assert asked.deadline > datetime.fromisoformat(decision.at)


def test_what_cannot_be_taken_is_asked_again(prefect: Lab, runs: Runs) -> None:
    run = runs["not taken"]
    first = prefect.gate(run)
    prefect.resume(run)
    second = prefect.gate(run, without=first.shown)
    assert second.shown.startswith("> **The last answer was not taken:** the name is empty")
    prefect.resume(run, decision="approve", digest="<b>bad</b>` 12", name="Ann", reason="")
    third = prefect.gate(run, without=second.shown)
    assert third.shown.startswith(
        r"> **The last answer was not taken:** the digest \<b\>bad\</b\>\` is not of this plan"
    )
    assert first.deadline == second.deadline == third.deadline
    prefect.resume(run, decision="approve", digest=DIGEST, name="Ann", reason="now right")
    decision = prefect.decision(run)
    assert (decision.choice, decision.by, decision.reason) == (Choice.APPROVE, "Ann", "now right")


def test_a_retried_run_asks_again(prefect: Lab, runs: Runs) -> None:
    run = runs["approve"]
    assert prefect.decision(run).approved
    prefect.client.set_flow_run_state(run, Scheduled(name="AwaitingRetry"), force=True)
    prefect.gate(run)
    prefect.answer(run, "reject", by="Bob", reason="once was enough")
    until(lambda: "Bob" in prefect.state(run) or None, lambda: prefect.state(run))
    assert prefect.decision(run).choice is Choice.REJECT


def test_an_answer_after_the_deadline_is_a_rejection(prefect: Lab, runs: Runs) -> None:
    run = runs["late"]
    asked = prefect.gate(run)
    time.sleep(max(0.0, (asked.deadline - datetime.now(UTC)).total_seconds()))
    with pytest.raises(GateError, match="it counts as rejected"):
        prefect.answer(run, "approve", DIGEST)
    prefect.resume(run, decision="approve", digest=DIGEST, name="Ann", reason="")
    decision = prefect.decision(run)
    assert (decision.choice, decision.by, decision.via) == (Choice.REJECT, "timeout", "timeout")
    assert "approve by Ann came at" in decision.reason


def test_nobody_answers(prefect: Lab, runs: Runs) -> None:
    run = runs["deadline"]
    asked = prefect.gate(run)
    time.sleep(max(0.0, (asked.deadline - datetime.now(UTC)).total_seconds()))
    expiry = prefect.start("expire-gates")
    decision = prefect.decision(run)
    assert (decision.choice, decision.by, decision.via) == (Choice.REJECT, "timeout", "timeout")
    assert "nobody answered in time" in decision.reason
    assert asked.name in str(prefect.ended(expiry).state)


def test_nothing_waits_at_an_unknown_run(prefect: Lab) -> None:
    with pytest.raises(GateError, match="nothing waits for an answer at run 'no-such-run'\n"):
        approvals.answer("no-such-run", "reject", "", "Ann", "", home=prefect.home)
