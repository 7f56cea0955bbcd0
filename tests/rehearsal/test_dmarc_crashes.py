"""A run that is killed, cut off, or without its store: nothing is lost, and nothing double.

RUNBOOK_CRASH_MAILS says over how many mails: a few hundred are enough for every run, and `make faults` has 2,000.
"""

import os
import random
import time
from collections.abc import Callable

import pytest
from estate_probes import until
from mailroom import POSTGRESQL, Mailroom
from warm_cli import Started

from deployments.scenes import expected, reported
from estates import PATIENCE, Desk
from rehearsal.dmarc import week
from rehearsal.dmarc.week import DAY_SECONDS

pytestmark = pytest.mark.rehearsal
TODAY = int(time.time()) // DAY_SECONDS * DAY_SECONDS
MAILS = int(os.environ.get("RUNBOOK_CRASH_MAILS", "400"))
AWAY_SECONDS = 60 if MAILS >= 2_000 else 15
KILLS = 30
CUTS = 10
SENT = week.busy(TODAY, MAILS)


@pytest.fixture
def room(desk: Desk) -> Mailroom:
    room = Mailroom(desk)
    room.deliver(SENT.mails)
    return room


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What a run leaves in its store when nothing happens."""
    room = Mailroom(Desk(tmp_path_factory.mktemp("undisturbed")))
    room.deliver(SENT.mails)
    assert room.run("--set", "alert=false").returncode in (0, 6)
    assert reported(room.last()) == expected(SENT)
    return room.content()


def disturb(room: Mailroom, run: Started, times: int, disturbance: Callable[[], None]) -> None:
    """Do something at random instants, spread over the whole run."""
    pick = random.Random(5)
    for count in sorted(pick.sample(range(MAILS - 20), times)):
        assert until(lambda count=count: room.count() >= count or run.poll() is not None, PATIENCE)  # type: ignore[misc]
        assert run.poll() is None, run.communicate()
        time.sleep(pick.random() / 50)
        disturbance()


def test_killed_at_thirty_instants(room: Mailroom, undisturbed: dict[str, list[str]]) -> None:
    pick = random.Random(3)
    for count in sorted(pick.sample(range(MAILS - 20), KILLS)):
        with room.desk.start("run") as run:
            assert until(lambda count=count: room.count() >= count or run.poll() is not None, PATIENCE)  # type: ignore[misc]
            time.sleep(pick.random() / 50)
            assert run.poll() is None, run.communicate()
            run.kill()
            run.wait()
    assert room.count() < MAILS
    last = room.run()
    assert last.returncode in (0, 6), last.stderr
    assert reported(room.last()) == expected(SENT)
    assert room.flags() == {
        "S": SENT.outcomes["report"] + SENT.outcomes["duplicate"],
        "F": SENT.outcomes["quarantined"],
    }
    assert room.content() == undisturbed


def test_cut_off_from_the_mailbox(room: Mailroom, undisturbed: dict[str, list[str]]) -> None:
    """The server throws the run out, or its cable is cut for a while, amid whatever it does: it goes on by itself."""
    kick = ["doveadm", "kick", "dmarc@performancewest.net"]
    with room.desk.start("run") as run:
        disturb(room, run, CUTS, lambda: room.host.run(kick))
        room.desk.estate.cut("co")
        time.sleep(3)
        room.desk.estate.mend("co")
        out, err = run.communicate(PATIENCE)
    assert run.returncode in (0, 6), (out, err)
    assert reported(room.last()) == expected(SENT)
    assert room.content() == undisturbed


def test_without_its_store_for_a_while(room: Mailroom, undisturbed: dict[str, list[str]]) -> None:
    assert room.host.run(["report-database", "start"]).returncode == 0
    room.use(POSTGRESQL)
    with room.desk.start("run") as run:
        assert until(lambda: len(room.ledger()) > MAILS // 6, PATIENCE)
        assert room.host.run(["report-database", "stop"]).returncode == 0
        time.sleep(AWAY_SECONDS)
        assert run.poll() is None
        assert room.host.run(["report-database", "start"]).returncode == 0
        out, err = run.communicate(3 * PATIENCE)
    assert run.returncode in (0, 6), (out, err)
    assert reported(room.last()) == expected(SENT)
    assert room.content()["dmarc_mail"] == undisturbed["dmarc_mail"]
