"""The guard on the host undoes what was not confirmed: after a killed run, a reboot, a cut cable, a late run."""

import json
import signal
from typing import Any

import pytest
from estate_probes import until

from blocks import guard, mta
from blocks.ssh_session import Writer
from deliverability import estate as estates_model
from deliverability.errors import Conflict, Held, HostError, UndoFailed
from deliverability.plan import Plan
from estates import GUARDS, MASTER_CF, PATIENCE, Desk

pytestmark = pytest.mark.rehearsal

RUN = "20260101T000000-test"


def changed(desk: Desk) -> list[dict[str, Any]]:
    return [entry for entry in desk.journal() if entry["event"] == "after"]


def test_a_killed_run_is_undone_by_the_host_alone(desk: Desk) -> None:
    before = desk.substance()
    desk.write_estate("[guard]\nminutes = 0.35")
    with desk.start("run", "--unattended") as run:
        assert until(lambda: len(changed(desk)) >= 6, PATIENCE), "files written, Postfix reloaded, one address removed"
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert len(desk.live()) < 22
    assert desk.guard_state() == "armed"
    meanwhile = desk.run("plan")
    assert (meanwhile.returncode, meanwhile.stdout) == (75, "")
    assert f"mta: the guard of run {desk.guard('run').strip()} is armed; it undoes that run at" in meanwhile.stderr
    assert "next: wait for it, or on the host: sh " in meanwhile.stderr
    assert until(lambda: desk.guard_state() == "undone", PATIENCE)
    assert until(lambda: desk.substance() == before, PATIENCE), desk.substance()
    desk.assert_both_streams_flow()
    undone = desk.guard("state").split()[1]
    again = desk.run("run", "--unattended")
    assert again.returncode == 0, again.stderr
    assert f"was undone by its guard at {undone}" in desk.report()[1]


def test_a_run_that_comes_after_a_killed_one_settles_it_first(desk: Desk) -> None:
    before = desk.substance()
    with desk.start("run", "--unattended") as run:
        assert until(lambda: len(changed(desk)) >= 6, PATIENCE)
        run.send_signal(signal.SIGKILL)
        run.communicate()
    dead = desk.guard("run").strip()
    person = desk.at_terminal("run")
    shown = person.wait_for("decision: approve or reject [reject]: ")
    assert f"settle  mta: run {dead} died; run {dead} was undone by a run at " in shown
    assert "18 addresses go" in shown, "the plan is for the old state"
    assert desk.substance() == before
    person.type("\n\n\n")
    person.end()


def test_a_run_that_is_later_than_its_guard_changes_nothing_more(desk: Desk) -> None:
    before = desk.substance()
    desk.write_estate("[guard]\nminutes = 0.15")
    with desk.start("run", "--unattended") as run:
        assert until(lambda: changed(desk), PATIENCE)
        run.send_signal(signal.SIGSTOP)
        assert until(lambda: desk.guard_state() == "undone", PATIENCE)
        run.send_signal(signal.SIGCONT)
        out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 4, (out, err)
    assert desk.substance() == before
    record, _ = desk.report()
    assert (record["status"], record["findings"]) == ("verification failed, undone", [])
    assert "it was undone; the old state is back" in record["summary"]
    assert len(changed(desk)) < len(record["plan"]["changes"])


def test_a_run_whose_cable_is_cut_finds_its_work_undone(desk: Desk) -> None:
    before = desk.substance()
    desk.write_estate("[guard]\nminutes = 0.15")
    with desk.start("run", "--unattended") as run:
        assert until(lambda: len(changed(desk)) >= 2, PATIENCE)
        desk.estate.cut("mta")
        try:
            assert until(lambda: desk.guard_state() == "undone", PATIENCE), (desk.guard_state(), desk.guard("undo.log"))
        finally:
            desk.estate.mend("mta")
        out, err = run.communicate(timeout=2 * PATIENCE)
    assert run.returncode == 4, (out, err)
    assert desk.substance() == before
    assert desk.report()[0]["status"] == "verification failed, undone"


def test_nobody_keeps_the_guard_from_firing(desk: Desk, writer: Writer, plan: Plan) -> None:
    """A command of a run whose cable was cut may hang for hours with the lock in its hand."""
    armed = guard.arm(writer, plan, RUN, 0.15, "/root")
    desk.shell(f"setsid flock {armed.directory} sleep 600 >/dev/null 2>&1 </dev/null &")
    assert until(lambda: desk.guard_state() == "undone", PATIENCE), desk.guard_state()


def test_a_reboot_does_not_stop_the_clock(desk: Desk, writer: Writer, plan: Plan, model: estates_model.Estate) -> None:
    before = desk.substance()
    armed = guard.arm(writer, plan, RUN, 0.4, "/root")
    for change in plan.edits():
        mta.apply(writer, change, model)
    desk.mta.restart()
    assert desk.live() == {"207.174.124.71", "207.174.124.72", "207.174.124.94", "207.174.124.107"}
    assert until(lambda: desk.guard_state() == "undone", PATIENCE)
    assert until(lambda: desk.substance() == before, PATIENCE), desk.substance()
    with pytest.raises(Conflict, match="the guard of run 20260101T000000-test fired first: undone"):
        desk.in_hub(lambda: guard.disarm(desk.host(), armed))
    assert "the old state is back" in desk.in_hub(lambda: guard.undo(desk.host(), armed))


def test_a_change_that_slipped_in_after_the_undo_is_undone_too(desk: Desk, writer: Writer, plan: Plan) -> None:
    before = desk.substance()
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell(f"sh {GUARDS}/{RUN}/guard.sh undo")
    desk.shell("ip addr del 207.174.124.90/24 dev eth0")
    with pytest.raises(Conflict, match="fired first: undone"):
        guard.record(writer, armed, event="before")
    desk.in_hub(lambda: guard.undo(desk.host(), armed))
    assert desk.substance() == before


def test_an_old_undo_leaves_the_work_of_a_later_run_alone(desk: Desk, writer: Writer, plan: Plan) -> None:
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    desk.in_hub(lambda: guard.undo(desk.host(), armed))
    later = guard.arm(writer, plan, "20260102T000000-test", 10, "/root")
    desk.shell("ip addr del 207.174.124.90/24 dev eth0")
    desk.in_hub(lambda: guard.disarm(desk.host(), later))
    before = desk.everything()
    desk.shell(f"sh {GUARDS}/{RUN}/guard.sh undo")
    desk.in_hub(lambda: guard.undo(desk.host(), armed))
    assert (desk.everything()["live"], desk.everything()["files"]) == (before["live"], before["files"])


def test_an_undo_that_fails_calls_for_a_person_and_can_be_done_again(desk: Desk, writer: Writer, plan: Plan) -> None:
    before = desk.substance()
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    backup = next(backup for backup, path in armed.backups if path == MASTER_CF)
    desk.shell(f"mv {backup} /root/aside; echo broken > {MASTER_CF}; ip addr del 207.174.124.90/24 dev eth0")
    with pytest.raises(UndoFailed, match="mta: the old state is not back") as failure:
        desk.in_hub(lambda: guard.undo(desk.host(), armed))
    assert failure.value.exit_code == 5
    assert f"on the console of mta: cat {GUARDS}/{RUN}/undo.log; sh {GUARDS}/{RUN}/guard.sh undo" in str(failure.value)
    assert desk.guard_state() == "failed"
    assert "207.174.124.90" in desk.live(), "one failure does not stop the rest"
    desk.shell(f"mv /root/aside {backup}; sh {GUARDS}/{RUN}/guard.sh undo")
    assert desk.guard_state() == "undone"
    assert desk.substance() == before


def test_a_lost_route_comes_back(desk: Desk, writer: Writer, plan: Plan) -> None:
    before = desk.substance()
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell("ip route del default")
    desk.shell(f"sh {GUARDS}/{RUN}/guard.sh undo")
    assert desk.substance() == before
    assert armed.run in desk.guard("README")


def test_nothing_is_overwritten_and_nothing_armed_twice(desk: Desk, writer: Writer, plan: Plan) -> None:
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    with pytest.raises(Held, match=f"the guard of run {RUN} is armed"):
        guard.arm(writer, plan, "20260102T000000-test", 10, "/root")
    desk.in_hub(lambda: guard.disarm(desk.host(), armed))
    desk.in_hub(lambda: guard.disarm(desk.host(), armed))
    with pytest.raises(Conflict, match=f"run {RUN} has been on mta before"):
        guard.arm(writer, plan, RUN, 10, "/root")
    guard.refuse_unsettled(writer)
    assert desk.substance()["units"] == ""
    (backup, path), *_ = armed.backups
    assert desk.shell(f"cmp {backup} {path} && stat -c %a {GUARDS}/{RUN}") == "700\n"


def test_the_deadline_is_by_the_clock_of_the_host(desk: Desk, writer: Writer, plan: Plan) -> None:
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    timer = f"deliverability-guard-{RUN}.timer"
    host_now = int(desk.shell("date +%s"))
    assert 590 <= armed.deadline.timestamp() - host_now <= 600
    assert desk.shell(f"systemctl show --property=SubState --value {timer}") == "waiting\n"
    assert json.loads(desk.guard("plan.json"))["host"] == "mta"


def test_a_deadline_that_has_passed_arms_nothing(desk: Desk, writer: Writer, plan: Plan) -> None:
    with pytest.raises(HostError, match="the guard cannot be armed, nothing was changed"):
        guard.arm(writer, plan, RUN, -1, "/root")
    assert desk.guard_state() == "undone"
    assert desk.substance()["units"] == ""
    guard.refuse_unsettled(writer)
