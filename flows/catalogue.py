"""The procedures, by the name a person types."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from prefect import Flow
from pydantic import validate_call

from deliverability.dns import spf_plan
from deliverability.errors import RunbookError
from deliverability.footprint import planning
from deliverability.plan import Plan
from deliverability.reexpansion import planning as reexpansion
from deliverability.subdomain import planning as subdomain
from flows.incident.ip_reexpansion import ip_reexpansion
from flows.incident.snowshoe_cleanup import snowshoe_cleanup
from flows.incident.spf_trim import spf_trim
from flows.incident.subdomain_setup import subdomain_setup
from flows.opening import open_estate
from flows.steps.tasks import observe_footprint, observe_reexpansion, observe_spf, observe_subdomain


@dataclass(frozen=True)
class Procedure:
    """A flow, and the function that only observes and plans: estate name, and the flow's own parameters -> plan.

    A scheduled procedure changes no host, and has none.
    """

    name: str
    flow: Flow[Any, Any]
    observe_and_plan: Callable[..., Plan] | None = None

    def plan(self, estate: str, **parameters: str) -> Plan:
        """Raises RunbookError if it plans nothing."""
        if self.observe_and_plan is None:
            raise RunbookError(
                f"{self.name} changes no host: it has no plan", next_step=f"runbook run {self.name} --set dry_run=true"
            )
        return self.observe_and_plan(estate, **parameters)

    def parameters(self, settings: Iterable[str]) -> dict[str, str]:
        """The flow's own parameters from NAME=VALUE words, as text: the flow validates them. Raises RunbookError."""
        known = set(self.flow.parameters.properties) - {"estate", "unattended"}
        words = {name: value for name, _, value in (setting.partition("=") for setting in settings)}
        for name in words:
            if name not in known:
                has = f"it has {', '.join(sorted(known))}" if known else "it has none"
                raise RunbookError(f"{self.name} has no parameter {name!r}", next_step=f"leave --set {name} out; {has}")
        return words


def _plan_snowshoe_cleanup(estate: str) -> Plan:
    return planning.plan(observe_footprint.fn(estate, "plan only"), open_estate(estate))


@validate_call
def _plan_spf_trim(estate: str, merge: bool = False) -> Plan:
    return spf_plan.plan(observe_spf.fn(estate, "plan only"), open_estate(estate), merge)


@validate_call
def _plan_subdomain_setup(estate: str, domain: str = "", selector: str = "") -> Plan:
    what = subdomain.target(open_estate(estate), domain, selector)
    look = observe_subdomain.fn(estate, domain, selector, "plan only")
    return subdomain.plan(look, open_estate(estate), what)


@validate_call
def _plan_ip_reexpansion(estate: str, address: str = "") -> Plan:
    what = reexpansion.target(open_estate(estate), address)
    return reexpansion.plan(observe_reexpansion.fn(estate, address, "plan only"), open_estate(estate), what)


def _dmarc_daily() -> Procedure:
    from flows.hygiene import dmarc_daily  # with pandas and matplotlib it takes two seconds that others need not wait

    return Procedure(dmarc_daily.PROCEDURE, dmarc_daily.dmarc_daily)


PROCEDURES: dict[str, Callable[[], Procedure]] = {
    planning.PROCEDURE: lambda: Procedure(planning.PROCEDURE, snowshoe_cleanup, _plan_snowshoe_cleanup),
    spf_plan.PROCEDURE: lambda: Procedure(spf_plan.PROCEDURE, spf_trim, _plan_spf_trim),
    reexpansion.PROCEDURE: lambda: Procedure(reexpansion.PROCEDURE, ip_reexpansion, _plan_ip_reexpansion),
    subdomain.PROCEDURE: lambda: Procedure(subdomain.PROCEDURE, subdomain_setup, _plan_subdomain_setup),
    "dmarc-daily": _dmarc_daily,
}


def find(name: str) -> Procedure:
    """Raises RunbookError naming the procedures there are."""
    if name not in PROCEDURES:
        known = ", ".join(sorted(PROCEDURES))
        raise RunbookError(f"no procedure {name!r}", next_step=f"name one of: {known}")
    return PROCEDURES[name]()
