"""What a person at a terminal is shown of Prefect's own log."""

import logging
from io import StringIO

import pytest

from deliverability.errors import MailboxAway
from flows.progress import Expected


@pytest.mark.parametrize(("error", "traced"), [(MailboxAway("no answer"), False), (ValueError("a fault"), True)])
def test_only_the_unexpected_is_traced(error: Exception, traced: bool) -> None:
    text = StringIO()
    log = logging.Logger("task runs")
    log.addHandler(logging.StreamHandler(text))
    log.addFilter(Expected())
    try:
        raise error
    except Exception:
        log.exception("Task run failed: %r", error)
    assert repr(error) in text.getvalue()
    assert ("Traceback" in text.getvalue()) is traced
