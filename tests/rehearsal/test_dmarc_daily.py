"""The daily DMARC run, against a real Dovecot: nothing that arrives is lost, and nothing counts twice."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from mailroom import Mailroom

from deployments.scenes import expected, last_week, reported
from estates import Desk
from rehearsal.dmarc import week
from rehearsal.dmarc.week import DAY_SECONDS

pytestmark = pytest.mark.rehearsal
TODAY = int(time.time()) // DAY_SECONDS * DAY_SECONDS
FINDINGS = 6


@pytest.fixture
def room(desk: Desk) -> Mailroom:
    return Mailroom(desk)


def test_the_week(room: Mailroom, listener: tuple[str, Path]) -> None:
    """Every quirk and every attack; a second run finds nothing new, and nothing is told twice."""
    sent = last_week()
    address, told = listener
    (room.desk.var / "on-call").write_text(f"{address}\n")
    room.use(room.store, f'[notifications]\nurls = "file:{room.desk.var}/on-call"')
    room.deliver(sent.mails)
    first = room.run()
    assert first.returncode == FINDINGS, first.stderr
    assert reported(room.last()) == expected(sent)
    assert Counter(room.last()["mails"]) == sent.outcomes
    flagged = sent.outcomes["quarantined"] + sent.outcomes["other"]
    assert room.flags() == {"S": len(sent.mails) - flagged, "F": flagged}
    message = json.loads(told.read_text())
    assert message["title"] == f"rehearsal: DMARC, {len(room.last()['findings'])} new, 0 over"
    assert "messages as us that fail DMARC" in message["message"]
    told.unlink()

    again = room.run()
    assert again.returncode == FINDINGS, "what was alarming still is"
    assert reported(room.last()) == expected(sent)
    assert room.last()["mails"] == {}
    assert not told.exists()


def test_a_mail_that_a_person_has_read_is_new_all_the_same(room: Mailroom) -> None:
    sent = week.busy(TODAY, 3)
    room.deliver(sent.mails)
    room.host.run(["doveadm", "flags", "add", "-u", "dmarc@performancewest.net", r"\Seen", "all"])
    assert room.flags() == {"S": 3}
    room.run()
    assert reported(room.last()) == expected(sent)


def test_a_dry_run_changes_nothing(room: Mailroom) -> None:
    sent = week.busy(TODAY, 3)
    room.deliver(sent.mails)
    dry = room.run("--set", "dry_run=true")
    assert dry.returncode == FINDINGS, dry.stderr
    assert reported(room.last()) == expected(sent)
    assert room.flags() == {"": 3}
    assert room.count() == 0
    room.run()
    assert reported(room.last()) == expected(sent)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_all_reads_what_was_read_and_counts_it_once(room: Mailroom, store: str) -> None:
    if store == "postgresql":
        room.use_postgresql()
    sent = week.busy(TODAY, 25)
    room.deliver(sent.mails)
    room.run()
    before = room.content()
    room.run("--set", "all=true")
    assert Counter(room.last()["mails"]) == sent.outcomes
    assert room.content() == before


def test_numbers_given_anew_count_nothing_twice(room: Mailroom) -> None:
    """A restored mailbox has another UIDVALIDITY, and its mails other numbers."""
    sent = week.busy(TODAY, 5)
    room.deliver(sent.mails)
    room.run()
    root = Path(f"/proc/{room.host.pid}/root/var/vmail/dmarc/Maildir")
    for file in root.glob("dovecot*"):
        file.unlink()
    again = room.run()
    assert again.returncode == FINDINGS, again.stderr
    assert Counter(room.last()["mails"]) == sent.outcomes
    assert reported(room.last()) == expected(sent)
