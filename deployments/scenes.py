"""What a rehearsal gives its estate before a procedure, for work that was done before the day on which it stands still;
and what must have come of it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deliverability.errors import RehearsalError
from rehearsal import Estate
from rehearsal.dmarc import week
from rehearsal.dmarc.delivery import deliver
from rehearsal.dmarc.week import DAY_SECONDS, Week

Outcome = Callable[[Path], str]
"""Looks at the reports of the run in a `var` folder; in words, what holds. Raises RehearsalError."""


@dataclass(frozen=True)
class Scene:
    """How an estate is prepared, and how it is checked what a run made of it."""

    set: Callable[[Estate], None]
    outcome: Outcome | None = None


def set_the_scene(estate: Estate, procedure: str) -> Scene | None:
    """Give the estate what the procedure is there for; the scene, if it has one."""
    scene = SCENES.get(procedure)
    if scene is not None:
        scene.set(estate)
    return scene


def start_listmonk(estate: Estate) -> None:
    """Not started by the host itself: few procedures need it."""
    _act(estate, "mta", "systemctl", "enable", "--now", "--quiet", "listmonk.target")


def _untrimmed(estate: Estate) -> None:
    _act(estate, "cp", "root-spf", "untrimmed")


def _no_subdomain(estate: Estate) -> None:
    start_listmonk(estate)
    _act(estate, "cp", "send-records", "absent")
    _act(estate, "mta", "send-signing", "absent")


def _act(estate: Estate, host: str, *argv: str) -> None:
    done = estate.host(host).run(argv)
    if done.returncode:
        raise RehearsalError(f"{host}: {argv[0]} failed: {done.stdout}{done.stderr}")


def last_week() -> Week:
    """The week of mail that ends today."""
    return week.make(int(time.time()) // DAY_SECONDS * DAY_SECONDS)


def _deliver_a_week(estate: Estate) -> None:
    deliver(estate.host("co"), last_week().mails)


def _totals_are_the_weeks(var: Path) -> str:
    twins = sorted((var / "reports" / "dmarc-daily").glob("*.json"))
    if not twins:
        raise RehearsalError("the run left no report")
    found, wanted = reported(json.loads(twins[-1].read_text())), expected(last_week())
    if found != wanted:
        odd = sorted({address for address, _ in found.items() ^ wanted.items()})
        wrong = "; ".join(f"{one}: {found.get(one)} for {wanted.get(one)}" for one in odd[:10])
        raise RehearsalError(f"the report's totals are not what was sent, (messages, passed): {wrong}")
    messages = sum(total for total, _ in found.values())
    return f"the report's totals are those of the generator, for each of {len(found)} addresses: {messages} messages"


def reported(twin: dict[str, object]) -> dict[str, tuple[int, int]]:
    """Address -> messages and passes, of a report's JSON twin."""
    dmarc: dict[str, list[dict[str, int | str]]] = twin["dmarc"]  # type: ignore[assignment]
    return {
        str(one["name"]): (int(one["messages"]), int(one["passed"])) for one in [*dmarc["addresses"], *dmarc["sources"]]
    }


def expected(sent: Week) -> dict[str, tuple[int, int]]:
    return {address: (total, sent.passed[address]) for address, total in sent.messages.items()}


SCENES = {
    "spf-trim": Scene(_untrimmed),
    "subdomain-setup": Scene(_no_subdomain),
    "dmarc-daily": Scene(_deliver_a_week, _totals_are_the_weeks),
}
