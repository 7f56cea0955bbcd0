"""The guard on hosts that are not as one would wish: Postfix dead, odd routes, links, bad disks, races."""

import pytest
from estate_probes import until

from blocks import guard, guard_arming, mta
from blocks.ssh_session import Writer
from deliverability import estate as estates_model
from deliverability.errors import CommandFailed, UndoFailed
from deliverability.plan import Plan
from estates import GUARDS, MAIN_CF, PATIENCE, Desk
from rehearsal import faults

pytestmark = pytest.mark.rehearsal

RUN = "20260101T000000-test"
SCRIPT = f"{GUARDS}/{RUN}/guard.sh"


def test_postfix_lives_on_when_the_guard_that_started_it_ends(desk: Desk, writer: Writer, plan: Plan) -> None:
    """systemd ends what the service of a timer leaves behind."""
    before = desk.substance()
    guard.arm(writer, plan, RUN, 0.1, "/root")
    desk.shell("pkill -KILL -x master")
    assert until(lambda: desk.guard_state() == "undone", PATIENCE)
    service = f"deliverability-guard-{RUN}.service"
    assert until(lambda: desk.mta.run(["systemctl", "is-active", "--quiet", service]).returncode == 3, PATIENCE)
    assert until(lambda: desk.substance() == before, PATIENCE)
    desk.shell("postfix status")
    desk.assert_both_streams_flow()


ROUTES = {
    "a second card without a cable": """
        ip link add test0 type veth peer name test1; ip link set test0 up; ip addr add 10.9.9.1/24 dev test0""",
    "two next hops": "ip route add 198.51.100.0/24 nexthop via 207.174.124.1 nexthop via 207.174.124.2",
    "a gateway beside the subnet": """
        ip route add 203.0.113.1 dev eth0 scope link; ip route add 198.51.100.0/24 via 203.0.113.1""",
}


@pytest.mark.parametrize("make", ROUTES.values(), ids=ROUTES)
def test_any_route_comes_back(desk: Desk, writer: Writer, plan: Plan, make: str) -> None:
    desk.shell(make)
    before = desk.substance()
    guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell("ip route flush 198.51.100.0/24; ip route del default; ip route flush 203.0.113.1")
    desk.shell(f"sh {SCRIPT} undo")
    assert desk.guard_state() == "undone", desk.guard("undo.log")
    after = desk.substance()
    assert {**after, "units": ""} == {**before, "units": ""}


def test_the_address_of_a_point_to_point_link_is_left_as_it_is(desk: Desk, writer: Writer, plan: Plan) -> None:
    desk.shell("ip addr add 10.8.0.2 peer 10.8.0.1/32 dev eth0")
    before = desk.substance()
    guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell(f"sh {SCRIPT} undo")
    assert desk.substance() == before


def test_a_link_stays_a_link(desk: Desk, writer: Writer, plan: Plan, model: estates_model.Estate) -> None:
    real = "/srv/conf/main.cf"
    desk.shell(f"mkdir /srv/conf; mv {MAIN_CF} {real}; ln -s {real} {MAIN_CF}")
    before = desk.read(real)
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    for change in plan.edits():
        mta.apply(writer, change, model, guard.only_while_armed(armed))
    assert desk.read(real) != before
    desk.in_hub(lambda: guard.undo(desk.host(), armed))
    assert desk.shell(f"readlink {MAIN_CF}; ls -A /srv/conf") == f"{real}\nmain.cf\n"
    assert desk.read(real) == before


def test_a_change_that_arrives_after_the_undo_is_not_made(
    desk: Desk, writer: Writer, plan: Plan, model: estates_model.Estate
) -> None:
    """A command that was on its way when the cable was cut arrives when it is mended; its run may be dead by then."""
    before = desk.substance()
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell(f"sh {SCRIPT} undo")
    for change in (plan.edits()[0], plan.removed_addresses()[0]):
        with pytest.raises(Exception, match="ended with 93: not armed any more: undone"):
            mta.apply(writer, change, model, guard.only_while_armed(armed))
    assert desk.substance() == before


def test_of_a_confirmation_and_an_undo_the_first_one_counts(desk: Desk, writer: Writer, plan: Plan) -> None:
    """Also when it is cut off between its decision and its deed."""
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell(f"ln -s disarm {armed.directory}/decision; sh {SCRIPT} expire")
    assert desk.guard_state() == "disarmed"
    later = "20260102T000000-test"
    guard.arm(writer, plan, later, 10, "/root")
    desk.shell(f"ln -s undo {GUARDS}/{later}/decision")
    with pytest.raises(CommandFailed, match="ended with 93: not confirmed: it is being undone"):
        writer.run("sh", f"{GUARDS}/{later}/guard.sh", "confirm")
    desk.shell(f"sh {GUARDS}/{later}/guard.sh expire")
    assert desk.guard_state() == "undone"


def test_a_confirmation_whose_answer_was_lost_is_no_failed_undo(desk: Desk, writer: Writer, plan: Plan) -> None:
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    desk.in_hub(lambda: guard.disarm(desk.host(), armed))
    assert desk.in_hub(lambda: guard.undo(desk.host(), armed)) is None


def test_a_guard_that_a_person_disarmed_amid_the_changes_calls_for_one(desk: Desk, writer: Writer, plan: Plan) -> None:
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell(f"sh {SCRIPT} disarm")
    with pytest.raises(UndoFailed, match=r"the guard was disarmed .* by hand while the run was at work"):
        desk.in_hub(lambda: guard.undo(desk.host(), armed))


def test_a_state_that_a_full_disk_left_empty_blocks_nobody(desk: Desk, writer: Writer, plan: Plan) -> None:
    guard.arm(writer, plan, RUN, 10, "/root")
    desk.shell(f": > {GUARDS}/{RUN}/state")
    assert guard.settle(writer) == f"run {RUN} ended before its guard was armed; it changed nothing"
    guard.arm(writer, plan, "20260102T000000-test", 10, "/root")


def test_a_journal_without_a_state_is_of_a_run_that_was_armed(desk: Desk, writer: Writer, plan: Plan) -> None:
    """A power cut takes what was renamed last, and leaves what was written and synchronised."""
    before = desk.substance()
    armed = guard.arm(writer, plan, RUN, 10, "/root")
    guard.record(writer, armed, event="before")
    desk.shell(f"echo new > {GUARDS}/{RUN}/state; ip addr del 207.174.124.90/24 dev eth0; sh {SCRIPT} expire")
    assert desk.substance() == before


def test_addresses_come_back_while_the_disk_is_read_only(desk: Desk, writer: Writer, plan: Plan) -> None:
    before = desk.substance()
    guard.arm(writer, plan, RUN, 0.1, "/root")
    desk.shell("ip addr del 207.174.124.90/24 dev eth0")
    with faults.find("read-only").on(desk.estate, "mta"):
        assert until(lambda: "207.174.124.90" in desk.live(), PATIENCE)
        assert desk.guard_state() == "armed"
    assert until(lambda: desk.guard_state() == "undone", PATIENCE)
    assert until(lambda: desk.substance() == before, PATIENCE)


def test_nothing_is_left_of_a_run_that_ended_before_its_guard_was_there(desk: Desk, writer: Writer, plan: Plan) -> None:
    dead = "20251231T000000-dead"
    desk.shell(f"mkdir -p {guard_arming.unfinished(dead)}; touch /root/main.cf.bak_snowshoe_{dead} /root/mine.bak")
    guard.arm(writer, plan, RUN, 10, "/root")
    assert dead not in desk.shell(f"ls -A {GUARDS} /root")
    assert "mine.bak" in desk.shell("ls /root")
    desk.shell(f"sh {SCRIPT} undo")
    assert desk.shell("find /etc /root -name '*guard-*' -o -name '*runbook-new'") == ""


def test_a_clock_that_is_set_back_delays_no_deadline(desk: Desk, writer: Writer, plan: Plan) -> None:
    guard.arm(writer, plan, RUN, 10, "/root")
    timer = f"deliverability-guard-{RUN}.timer"
    shown = desk.shell(f"systemctl show --property=TimersMonotonic,TimersCalendar {timer}")
    assert "OnActiveUSec=10min" in shown or "OnActiveUSec=9min 59" in shown, shown
    assert "OnCalendar=" in shown
