"""One change at a time on a host: who has it, who waits, who is turned away, and how a dead run lets go."""

import json
import signal
from collections.abc import Iterator

import pytest
from estate_probes import until

from blocks import guard_arming, host_lock
from blocks.ssh_session import Writer
from deliverability.errors import Conflict, Held
from estates import GUARDS, PATIENCE, Desk
from rehearsal.hosts import Done

pytestmark = pytest.mark.rehearsal

RUN = "20260101T000000-test"
STARTS = 20


@pytest.fixture
def other(desk: Desk) -> Iterator[Writer]:
    with desk.connected(desk.host().operate()) as other:
        yield other


def lock(desk: Desk, command: str, *words: str) -> Done:
    return desk.run(f"lock {command}", *words)


def test_a_holder_is_named_and_nobody_else_gets_the_host(desk: Desk, writer: Writer, other: Writer) -> None:
    assert host_lock.holder(other) is None
    with host_lock.hold(writer, RUN, "Ann Lee", "a 'quoted' %s reason", 60):
        found = host_lock.holder(other)
        assert found is not None
        assert (found.run, found.by, found.reason) == (RUN, "Ann Lee", "a 'quoted' %s reason")
        assert found.since < found.until
        with (
            pytest.raises(Held, match=f"mta is held by run {RUN} .a 'quoted' %s reason, decided by Ann Lee. since "),
            host_lock.hold(other, "another", "Bob", "x", 60),
        ):
            pass
    assert until(lambda: host_lock.holder(other) is None, PATIENCE)
    with host_lock.hold(other, "another", "Bob", "x", 60):
        pass


def test_a_hold_does_not_outlive_its_time(desk: Desk, writer: Writer, other: Writer) -> None:
    """A connection that died in silence looks alive to the host for hours."""
    with host_lock.hold(writer, RUN, "Ann", "x", 1):
        assert until(lambda: host_lock.holder(other) is None, PATIENCE)
        with host_lock.hold(other, "another", "Bob", "x", 60):
            pass


def test_a_lock_is_taken_from_a_named_run_only(desk: Desk, writer: Writer, other: Writer) -> None:
    with host_lock.hold(writer, RUN, "Ann", "x", 600):
        with pytest.raises(Conflict, match=f"mta is held by run {RUN} .*, not by run another"):
            host_lock.release(other, "another", "Bob", "wrong name")
        assert host_lock.release(other, RUN, "Bob", "its laptop is off").by == "Ann"
        assert until(lambda: host_lock.holder(other) is None, PATIENCE)
        with host_lock.hold(other, "another", "Bob", "x", 60):
            pass
    assert f"lock of run {RUN} released by Bob: 'its laptop is off'" in desk.shell("cat /var/log/syslog")


def in_the_middle(desk: Desk) -> bool:
    return desk.guard("journal").count('"after"') >= 6


def test_a_killed_run_lets_go_at_once_and_is_called_dead(desk: Desk) -> None:
    before = desk.substance()
    free = lock(desk, "status")
    assert (free.returncode, free.stdout) == (0, "mta: held by nobody\n")
    with desk.start("run", "--unattended") as run:
        assert until(lambda: in_the_middle(desk), PATIENCE)
        run.send_signal(signal.SIGKILL)
        run.communicate()
    dead = desk.guard("run").strip()
    status = lock(desk, "status")
    assert status.returncode == 75
    nobody, armed, said = status.stdout.splitlines()
    assert nobody == "mta: held by nobody"
    assert armed.startswith(f"mta: the guard of run {dead} is armed; it undoes that run at ")
    assert said.startswith("mta: that run is dead; the next run undoes it first")
    wrong = lock(desk, "release", "20990101", "--by", "Ann", "--reason", "x")
    assert wrong.returncode == 3
    assert "run 20990101 neither holds mta nor left it unsettled" in wrong.stderr
    released = lock(desk, "release", dead, "--by", "Ann", "--reason", "killed")
    assert released.returncode == 0, released.stderr
    assert released.stdout.startswith(f"mta: run {dead} died; run {dead} was undone by a run at ")
    assert desk.substance() == before
    after = json.loads(lock(desk, "status", "--json").stdout)
    assert (after["free"], after["lock"]["holder"], after["lock"]["last"]["state"]) == (True, None, "undone")


def test_a_run_that_hangs_holds_the_host_until_a_person_says_it_is_dead(desk: Desk) -> None:
    """It may be alive after all: then it changes nothing more."""
    with desk.start("run", "--unattended") as hanging:
        assert until(lambda: in_the_middle(desk), PATIENCE)
        hanging.send_signal(signal.SIGSTOP)
        name = desk.guard("run").strip()
        status = lock(desk, "status")
        assert status.returncode == 75
        assert status.stdout.startswith(
            f"mta: held by run {name} (snowshoe-cleanup, decided by rehearsal (unattended))"
        )
        turned_away = desk.run("run", "--unattended")
        assert turned_away.returncode == 75
        assert f"mta is held by run {name}" in turned_away.stdout
        released = lock(desk, "release", name, "--by", "Ann", "--reason", "its laptop is off")
        assert released.returncode == 0, released.stderr
        assert released.stdout.splitlines()[1] == f"mta: the lock of run {name} is released, by Ann: its laptop is off"
        assert desk.run("run", "--unattended").returncode == 0
        new = desk.substance()
        hanging.send_signal(signal.SIGCONT)
        out, err = hanging.communicate(timeout=PATIENCE)
    assert hanging.returncode == 4, (out, err)
    assert out.startswith("verification failed, undone: ")
    assert desk.substance() == new, "the work of the second run stands"
    desk.assert_both_streams_flow()


def test_of_twenty_that_start_at_once_exactly_one_changes_the_host(desk: Desk) -> None:
    runs = [desk.start("run", "--unattended") for _ in range(STARTS)]
    ended = [(*run.communicate(timeout=240), run.returncode) for run in runs]
    codes = sorted(code for _, _, code in ended)
    assert codes.count(0) >= 1, ended
    assert set(codes) <= {0, 3, 75}, [(code, out, err[-500:]) for out, err, code in ended if code not in (0, 3, 75)]
    reports = desk.reports()
    assert len(reports) == STARTS
    (winner,) = (record for record in reports if record["status"] == "done")
    others = {record["status"] for record in reports if record != winner}
    assert others <= {"held by another run", "refused", "nothing to do"}
    assert desk.shell(f"ls -1 {GUARDS}").split() == [winner["run"], "current"]
    assert guard_arming.BASE == GUARDS
    desk.assert_both_streams_flow()
