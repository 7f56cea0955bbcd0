"""Which runs the crash matrix hits, with what, and where."""

import time
from collections.abc import Iterator, Sequence

import crash_dns
from crash_case import Blow, Case, Scene, kill_process
from crash_points import Point, points

from estates import PROCEDURE
from rehearsal import faults

FOR_GOOD = 40.0
"""Seconds: longer than the guard waits."""

SHORT_CUT = 10.0
MENDED_AFTER = 20.0

ANY_TIME = Point("from the start", lambda _seen: True)


def kill(scene: Scene) -> None:
    scene.run.kill()


def kill_the_worker(scene: Scene) -> None:
    kill_process(scene.desk, "worker")


def kill_the_server(scene: Scene) -> None:
    kill_process(scene.desk, "server")


def fault(name: str, seconds: float = 0, host: str = "mta") -> Blow:
    """The fault, mended after so many seconds; the run goes on meanwhile."""

    def blow(scene: Scene) -> None:
        with faults.find(name).on(scene.desk.estate, host):
            time.sleep(seconds)

    return blow


def until_the_end(name: str) -> Blow:
    """The fault, mended only when the run has ended."""

    def blow(scene: Scene) -> None:
        with faults.find(name).on(scene.desk.estate, "mta"):
            scene.await_end()

    return blow


def restart(scene: Scene) -> None:
    scene.desk.mta.restart()


def fill_and_kill(scene: Scene) -> None:
    """The undo finds the disk full, and nobody clears it."""
    full = faults.find("disk-full")
    full.inject(scene.desk.estate, "mta")
    scene.mends.append(lambda: full.mend(scene.desk.estate, "mta"))
    scene.run.kill()


def cases() -> Iterator[Case]:
    """All of them, pass by pass."""
    everywhere = points()
    steps = [point for point in everywhere if point.name.startswith("before change")]
    steps = [*everywhere[:17:4], *steps, *everywhere[-16::4]]  # and some of arming, verifying and disarming
    while_armed = [point for point in everywhere if not point.name.startswith("arming")]
    yield from _pass("flow killed, the guard is awaited", everywhere, kill)
    yield from _pass("flow killed, run again", everywhere, kill, again=True)
    yield from _pass("flow of a worker killed", everywhere[::8], kill, deployed=True)
    yield from _pass("worker killed", everywhere[::10], kill_the_worker, deployed=True)
    yield from _pass("Prefect server killed", everywhere[::10], kill_the_server)
    yield from _pass("cable cut for longer than the guard waits", steps, fault("cut", FOR_GOOD))
    yield from _pass("cable cut for 10 s", steps, fault("cut", SHORT_CUT))
    yield from _pass("sshd killed", everywhere[::8], fault("sshd-killed"))
    yield from _pass("host restarted", everywhere[::6], restart)
    yield from _pass("disk full before the backup", [ANY_TIME], until_the_end("disk-full"))
    yield from _pass("disk full for 20 s", everywhere[::8], fault("disk-full", MENDED_AFTER))
    yield from _pass("disk full, flow killed: full during the undo", while_armed[::8], fill_and_kill)
    yield from _pass("file system read-only for 20 s", everywhere[::10], fault("read-only", MENDED_AFTER))
    yield from _pass("20 % loss to the end", [ANY_TIME, *everywhere[::16]], until_the_end("loss"))

    for subject in (crash_dns.SPF_TRIM, crash_dns.SUBDOMAIN_SETUP):
        yield from _dns_passes(subject.procedure)


def _dns_passes(procedure: str) -> Iterator[Case]:
    """Records and the From are written by programs of others: less can be interrupted, they go on by themselves."""
    everywhere = crash_dns.points(procedure)
    some = everywhere[::4]
    yield from _pass(f"{procedure}: flow killed, the guard is awaited", everywhere, kill, procedure=procedure)
    yield from _pass(f"{procedure}: flow killed, run again", everywhere, kill, again=True, procedure=procedure)
    yield from _pass(f"{procedure}: cable of the MTA cut for 10 s", some, fault("cut", SHORT_CUT), procedure=procedure)
    yield from _pass(
        f"{procedure}: cable of the master cut for 10 s", some, fault("cut", SHORT_CUT, "cp"), procedure=procedure
    )
    yield from _pass(f"{procedure}: the MTA restarted", some[1:], restart, procedure=procedure)


def _pass(
    kind: str,
    where: Sequence[Point],
    blow: Blow,
    *,
    again: bool = False,
    deployed: bool = False,
    procedure: str = PROCEDURE,
) -> Iterator[Case]:
    return (Case(kind, point, blow, again, deployed, procedure) for point in where)
