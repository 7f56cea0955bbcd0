"""The proof on a fresh look: all of it holds after the plan, and each thing that is wrong is found, alone."""

from typing import Any

import pytest

from deliverability.finding import Finding, Verdict, failed
from deliverability.footprint import planning, proof
from deliverability.footprint.observation import Footprint
from tests.deliverability.footprint import perfwest

BEFORE = perfwest.footprint()
PLAN = planning.plan(BEFORE, perfwest.estate())
CLOSED = tuple((address, port) for address, port in BEFORE.listeners if port not in (2527, 2528))
AFTER = perfwest.carried_out(PLAN, BEFORE).model_copy(update={"listeners": CLOSED})
REPEAT = "the same plan again"
AT = "2026-06-23T10:00:00+00:00"


def found(after: Footprint) -> list[Finding]:
    return proof.findings(PLAN, after, perfwest.estate(), AT)


def test_all_holds_after_the_plan() -> None:
    findings = found(AFTER)
    assert {finding.verdict for finding in findings} == {Verdict.OK}
    assert {finding.at for finding in findings} == {AT}
    checks = {finding.check for finding in findings}
    assert {f"{edit.path} to the byte" for edit in PLAN.edits()} <= checks
    assert {"port 2527", "port 2528", "port 25 of stream trucking", "port 2526 of stream healthcare"} <= checks


@pytest.mark.parametrize(
    ("wrong", "checks"),
    [
        ({"listeners": (*CLOSED, ("0.0.0.0", 2527))}, ["port 2527"]),
        ({"listeners": CLOSED[:-1]}, ["port 2526 of stream healthcare"]),
        ({"queued_transports": {"4A1": "out06"}}, ["queued mail without a transport"]),
        ({"ssh_address": "207.174.124.90"}, ["SSH over a new connection"]),
        ({"configuration_loaded": False}, ["running Postfix", REPEAT]),
        ({"addresses": BEFORE.addresses}, ["addresses (live)", REPEAT]),
        ({"rehab_cron": BEFORE.rehab_cron}, [f"{perfwest.CRON} to the byte", "rehabilitation cron job", REPEAT]),
        ({"rehab_cron": None}, [f"{perfwest.CRON} to the byte"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_thing_that_is_wrong_fails(wrong: dict[str, Any], checks: list[str]) -> None:
    bad = [finding.check for finding in failed(found(AFTER.model_copy(update=wrong)))]
    assert bad == checks


def test_a_lost_transport_of_a_stream_fails() -> None:
    text = AFTER.master_cf.text.replace("out05     unix", "out0x     unix")
    after = perfwest.with_text(AFTER, perfwest.MASTER_CF, text).model_copy(update={"configuration_loaded": True})
    findings = {finding.check: finding.observed for finding in failed(found(after))}
    assert findings["transports of the streams"] == "missing: out05"
    assert "its transport out05 is not in" in findings[REPEAT], "a plan that is refused is evidence, not the end of it"
