"""What a cleanup refuses on a real host, before anybody is asked: each would cut the host off or strand mail."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from estate_probes import inject, until

from estates import MAIN_CF, PATIENCE, Desk

pytestmark = pytest.mark.rehearsal

NET = "207.174.124"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.estate.receiver("microsoft").reply_normally()


def primary_90(desk: Desk) -> None:
    """The addresses as a boot in another order leaves them: .90 first, the one of the SSH session a secondary of it."""
    rest = [f"{NET}.{last}" for last in (71, 72, *range(91, 110))]
    added = "; ".join(f"ip addr add {address}/24 dev eth0" for address in rest)
    desk.shell(f"ip addr flush dev eth0; ip addr add {NET}.90/24 dev eth0; {added}; ip route add default dev eth0")


def route_from_90(desk: Desk) -> None:
    desk.shell(f"ip route replace default dev eth0 src {NET}.90")


def transport_maps(desk: Desk) -> None:
    desk.write(MAIN_CF, desk.read(MAIN_CF) + "transport_maps = randmap:{out05:,out06:}\n")
    desk.shell("postfix reload")


def queued_mail(desk: Desk) -> None:
    """A newsletter that Microsoft told to come back later, handed in where hcout2 sends."""
    desk.estate.receiver("microsoft").reply(rcpt="451 4.7.500 Server busy")
    inject(desk.mta, 2527, "ops@contoso.com")
    assert until(lambda: "deferred" in desk.shell("postqueue -j"), PATIENCE)


REFUSALS: dict[str, tuple[Callable[[Desk], object], list[str]]] = {
    "the primary address of the subnet": (
        primary_90,
        [
            f"{NET}.90 is the primary address of its subnet and promote_secondaries is 0",
            f"removing it would take {NET}.71, {NET}.72, {NET}.94, {NET}.107 with it",
            "First: sysctl -w net.ipv4.conf.all.promote_secondaries=1, or make one of those the first address",
        ],
    ),
    "the source of the default route": (
        route_from_90,
        [f"{NET}.90 is the source of the route to default; change the route first"],
    ),
    "a transport that transport_maps names": (
        transport_maps,
        [f"transport out06 is still named by transport_maps in {MAIN_CF}; take it out there first"],
    ),
    "queued mail for a transport that goes": (
        queued_mail,
        ["1 queued message(s) are bound to transport hcout2", "deliver them (postqueue -f) or delete them"],
    ),
}


@pytest.mark.parametrize("why", [*REFUSALS])
def test_it_refuses_and_explains_and_nothing_changes(desk: Desk, why: str) -> None:
    spoil, parts = REFUSALS[why]
    spoil(desk)
    before = desk.everything()
    plan = desk.run("plan")
    assert (plan.returncode, plan.stdout) == (3, "")
    for part in parts:
        assert part in plan.stderr
    run = desk.run("run", "--unattended")
    assert run.returncode == 3
    assert desk.report()[0]["decision"] is None, "nobody is asked about what would not be done"
    assert desk.everything() == before


def test_the_setting_that_the_refusal_offers_makes_the_cleanup_safe(desk: Desk) -> None:
    primary_90(desk)
    desk.shell("sysctl -qw net.ipv4.conf.all.promote_secondaries=1")
    done = desk.run("run", "--unattended")
    assert done.returncode == 0, done.stderr
    assert desk.live() == {f"{NET}.{last}" for last in (71, 72, 94, 107)}
    desk.assert_both_streams_flow()
