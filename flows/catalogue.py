"""The procedures, by the name a person types."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prefect import Flow

from deliverability.errors import RunbookError
from deliverability.footprint import planning
from deliverability.plan import Plan
from flows.incident.snowshoe_cleanup import snowshoe_cleanup
from flows.opening import open_estate
from flows.tasks import observe_footprint


@dataclass(frozen=True)
class Procedure:
    """A flow, and the function that only observes and plans (estate name -> plan)."""

    name: str
    flow: Flow[Any, Any]
    plan: Callable[[str], Plan]


def _plan_snowshoe_cleanup(estate: str) -> Plan:
    return planning.plan(observe_footprint.fn(estate, "plan only"), open_estate(estate))


PROCEDURES = {
    procedure.name: procedure
    for procedure in (Procedure(planning.PROCEDURE, snowshoe_cleanup, _plan_snowshoe_cleanup),)
}


def find(name: str) -> Procedure:
    """Raises RunbookError naming the procedures there are."""
    if name not in PROCEDURES:
        known = ", ".join(sorted(PROCEDURES))
        raise RunbookError(f"no procedure {name!r}", next_step=f"name one of: {known}")
    return PROCEDURES[name]
