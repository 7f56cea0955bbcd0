"""What a person decided about a plan, and whether the answer can be taken."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from deliverability.plan import SHORT_DIGEST

NAME_LIMIT = 80
REASON_LIMIT = 500


class Choice(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Decision(BaseModel):
    """Who decided what about which plan, why, when and where.

    `at` is ISO 8601 in UTC; `via` is the place it was given ("terminal", "Prefect UI", "timeout", ...).
    """

    model_config = ConfigDict(frozen=True)

    choice: Choice
    digest: str
    by: str
    reason: str
    at: str
    via: str

    @property
    def approved(self) -> bool:
        return self.choice is Choice.APPROVE


def problem(choice: str, digest: str, by: str, expected_digest: str) -> str | None:
    """Why an answer cannot be taken, in a sentence for the person who gave it; None if it can.

    A rejection needs a name only: nobody should have to copy a digest to say no.
    """
    if choice not in (Choice.APPROVE, Choice.REJECT):
        return f"the decision is {choice!r}; type approve or reject"
    if not by.strip():
        return "the name is empty; say who decides"
    if len(by) > NAME_LIMIT:
        return f"the name has {len(by)} characters; {NAME_LIMIT} is the limit"
    if choice == Choice.REJECT:
        return None
    typed = digest.strip().lower()
    if len(typed) < SHORT_DIGEST:
        return f"the digest has {len(typed)} characters; type or paste the first {SHORT_DIGEST} of the plan shown above"
    if not expected_digest.startswith(typed):
        return f"the digest {typed[:SHORT_DIGEST]} is not of this plan, which is {expected_digest[:SHORT_DIGEST]}"
    return None
