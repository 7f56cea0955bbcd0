"""What a check found: the word, the expectation, the observation, and where it was seen."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Verdict(StrEnum):
    """A check that could not be made is unknown, never ok and never fail."""

    OK = "ok"
    WARNING = "warning"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


class Finding(BaseModel):
    """One piece of evidence.

    `check` names what was asked, `where` the place that answered, `at` the moment (ISO 8601, UTC),
    `fix` the next thing to do when the verdict is not ok.
    """

    model_config = ConfigDict(frozen=True)

    check: str
    verdict: Verdict
    expected: str = ""
    observed: str = ""
    where: str = ""
    at: str = ""
    fix: str = ""


def judged(check: str, good: bool, expected: str, observed: str, where: str) -> Finding:
    """A finding that is ok or fail; the moment is its taker's to add."""
    verdict = Verdict.OK if good else Verdict.FAIL
    return Finding(check=check, verdict=verdict, expected=expected, observed=observed, where=where)


def failed(findings: list[Finding]) -> list[Finding]:
    """Those that do not count as proof: a failed check and one that could not be made."""
    return [finding for finding in findings if finding.verdict in (Verdict.FAIL, Verdict.UNKNOWN)]
