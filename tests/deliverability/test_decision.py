"""Which answers at a gate can be taken. Whatever is no whole approval of exactly this plan is none."""

import pytest

from deliverability.decision import NAME_LIMIT, Choice, Decision, problem

DIGEST = "1f0c93a2b4d6" + "0" * 52


@pytest.mark.parametrize(
    ("choice", "digest", "by"),
    [
        ("approve", DIGEST, "Ann Lee"),
        ("approve", DIGEST[:12], "Ann Lee"),
        ("approve", f"  {DIGEST[:20].upper()}\n", "Ann Lee"),
        ("reject", "", "Ann Lee"),
        ("reject", "not of this plan", "x" * NAME_LIMIT),
        (Choice.APPROVE, DIGEST, "Ann Lee"),
    ],
)
def test_answers_that_are_taken(choice: str, digest: str, by: str) -> None:
    assert problem(choice, digest, by, DIGEST) is None


@pytest.mark.parametrize(
    ("choice", "digest", "by", "said"),
    [
        ("", DIGEST, "Ann Lee", "type approve or reject"),
        ("yes", DIGEST, "Ann Lee", "the decision is 'yes'"),
        ("APPROVE", DIGEST, "Ann Lee", "the decision is 'APPROVE'"),
        ("approve\n", DIGEST, "Ann Lee", "type approve or reject"),
        ("approve", DIGEST, "", "the name is empty"),
        ("approve", DIGEST, " \t\n", "the name is empty"),
        ("reject", "", "", "the name is empty"),
        ("approve", DIGEST, "x" * (NAME_LIMIT + 1), "the name has 81 characters; 80 is the limit"),
        ("reject", "", "x" * (NAME_LIMIT + 1), "the name has 81 characters"),
        ("approve", "", "Ann Lee", "the digest has 0 characters; type or paste the first 12"),
        ("approve", DIGEST[:11], "Ann Lee", "the digest has 11 characters"),
        ("approve", DIGEST[1:13], "Ann Lee", "is not of this plan, which is 1f0c93a2b4d6"),
        ("approve", "0" * 64, "Ann Lee", "the digest 000000000000 is not of this plan"),
        ("approve", DIGEST + "0", "Ann Lee", "is not of this plan"),
        ("approve", f"{DIGEST[:12]} {DIGEST[:12]}", "Ann Lee", "is not of this plan"),
    ],
)
def test_answers_that_are_not_taken(choice: str, digest: str, by: str, said: str) -> None:
    assert said in (problem(choice, digest, by, DIGEST) or "")


@pytest.mark.parametrize("choice", list(Choice))
def test_only_an_approval_approves(choice: Choice) -> None:
    decision = Decision(choice=choice, digest=DIGEST, by="Ann Lee", reason="", at="", via="terminal")
    assert decision.approved is (choice is Choice.APPROVE)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
