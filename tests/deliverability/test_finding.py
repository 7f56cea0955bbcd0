"""Findings: what could not be seen is no proof."""

import pytest

from deliverability.finding import Finding, Verdict, failed


@pytest.mark.parametrize("verdict", list(Verdict))
def test_failed_and_unknown_are_no_proof(verdict: Verdict) -> None:
    finding = Finding(check="SPF", verdict=verdict)
    assert failed([finding]) == ([finding] if verdict in ("fail", "unknown") else [])
