"""The list of senders whose bounces are counted: one address more, and nothing else of it changes."""

import pytest

from deliverability import bounce_senders
from deliverability.errors import MalformedFile

TEXT = "# who\nnoreply@example.com   # until its queue is empty\n\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "new@example.com\n"),
        (TEXT, f"{TEXT}new@example.com\n"),
        ("noreply@example.com", "noreply@example.com\nnew@example.com\n"),
        ("NEW@example.com\n", "NEW@example.com\n"),
        ("# new@example.com\n", "# new@example.com\nnew@example.com\n"),
    ],
)
def test_an_address_is_added_once(before: str, after: str) -> None:
    assert bounce_senders.add(before, "new@example.com", "list") == after
    assert bounce_senders.add(after, "new@example.com", "list") == after


def test_what_stands_there() -> None:
    assert bounce_senders.parse(TEXT, "list") == ("noreply@example.com",)


@pytest.mark.parametrize("line", ["nobody", "a b@example.com", "a@example.com\r", "\x00@example.com"])
def test_a_line_that_is_no_address_is_said(line: str) -> None:
    with pytest.raises(MalformedFile, match=r"list:2: .* is no address"):
        bounce_senders.add(f"a@example.com\n{line}\n", "new@example.com", "list")
