"""The queue: the shapes printed by postqueue and postcat of Postfix 3.7.11, and hostile ones."""

import json
from datetime import UTC, datetime

import pytest

from deliverability.errors import MalformedFile
from deliverability.postfix import queue

FIRST = (
    '{"queue_name": "deferred", "queue_id": "45A7D4C", "arrival_time": 1795569509, "message_size": 290, '
    '"forced_expire": false, "sender": "s@b.test", "recipients": [{"address": "q@d.test", '
    '"delay_reason": "mail transport unavailable"}]}\n'
)
SECOND = (
    '{"queue_name": "active", "queue_id": "4jYzfL2sCgzLSK5", "arrival_time": 1795569509, "message_size": 254, '
    '"forced_expire": false, "sender": "", "recipients": [{"address": "x@a.test"}, {"address": "y@c.test"}]}\n'
)
LISTED = FIRST + SECOND
SHOWN = """\
*** ENVELOPE RECORDS deferred/4/45A7D4C ***
message_size:             290             630               1               0             290               0
content_filter: hcout2:[127.0.0.1]:9
named_attribute: log_ident=45A7D4C
sender: s@b.test
original_recipient: q@d.test
*** MESSAGE CONTENTS deferred/4/45A7D4C ***
*** HEADER EXTRACTED deferred/4/45A7D4C ***
*** MESSAGE FILE END deferred/4/45A7D4C ***
*** ENVELOPE RECORDS active/4jYzfL2sCgzLSK5 ***
sender: a@b.test
*** MESSAGE CONTENTS active/4jYzfL2sCgzLSK5 ***
content_filter: forged:
*** HEADER EXTRACTED active/4jYzfL2sCgzLSK5 ***
*** MESSAGE FILE END active/4jYzfL2sCgzLSK5 ***
*** ENVELOPE RECORDS hold/A/A703A42 ***
content_filter: hcout1:
*** MESSAGE CONTENTS hold/A/A703A42 ***
*** HEADER EXTRACTED hold/A/A703A42 ***
content_filter: hcout3:
*** MESSAGE FILE END hold/A/A703A42 ***
"""


def test_listing() -> None:
    first, second = queue.parse(LISTED)
    assert first == queue.QueuedMessage(
        queue_id="45A7D4C",
        queue="deferred",
        arrival=datetime(2026, 11, 25, 1, 18, 29, tzinfo=UTC),
        sender="s@b.test",
        recipients=(queue.QueuedRecipient("q@d.test", "mail transport unavailable"),),
    )
    assert second.sender == ""
    assert [recipient.delay_reason for recipient in second.recipients] == ["", ""]


def test_an_empty_queue() -> None:
    assert queue.parse("") == ()
    assert queue.parse_filters("") == {}


@pytest.mark.parametrize(
    "line",
    [
        "Mail queue is empty",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps({"queue_id": 5, "queue_name": "", "arrival_time": 1, "sender": "", "recipients": []}),
        json.dumps({"queue_id": "A", "queue_name": "", "arrival_time": 10**30, "sender": "", "recipients": []}),
        json.dumps({"queue_id": "A", "queue_name": "", "arrival_time": 1, "sender": "", "recipients": ["x"]}),
        json.dumps({"queue_id": "A", "queue_name": "", "arrival_time": 1, "sender": "", "recipients": None}),
    ],
)
def test_a_line_that_is_no_entry(line: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        queue.parse(LISTED + line)
    assert caught.value.line == 3


def test_limits() -> None:
    with pytest.raises(MalformedFile, match="more than 1 queued"):
        queue.parse(LISTED, max_messages=1)
    with pytest.raises(MalformedFile, match="longer than 100"):
        queue.parse(LISTED, max_line=100)


def test_filters_are_those_of_the_envelope_and_the_last_one_counts() -> None:
    assert queue.parse_filters(SHOWN) == {"45A7D4C": "hcout2", "4jYzfL2sCgzLSK5": "", "A703A42": "hcout3"}


@pytest.mark.parametrize(
    "cut", ["*** MESSAGE FILE END deferred/4/45A7D4C ***\n", "*** MESSAGE FILE END hold/A/A703A42 ***\n"]
)
def test_output_that_breaks_off(cut: str) -> None:
    with pytest.raises(MalformedFile, match="has no end"):
        queue.parse_filters(SHOWN.replace(cut, ""))
