"""The tasks that procedures share. What stands above a gate is persisted under INPUTS + RUN_ID: on resume Prefect runs
the flow from the top, and the world must not be asked twice for what a person is deciding about.
"""

from datetime import UTC, datetime
from typing import Any

from prefect import runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import INPUTS, RUN_ID
from prefect.client.schemas.objects import State, TaskRun

from blocks import forward_look, guard, host_lock, mta, past_run, reexpansion_look, spf_look, subdomain_look
from blocks.resolver import PublicResolver
from blocks.ssh_host import SshHost
from deliverability.dns.spf_plan import SpfLook
from deliverability.errors import HostUnreachable
from deliverability.footprint.observation import Footprint
from deliverability.plan import Plan
from deliverability.reexpansion import planning as reexpansion
from deliverability.reexpansion.planning import ReexpansionLook
from deliverability.rollback import PastRun
from deliverability.rollback_forward import ForwardLook
from deliverability.subdomain import planning as subdomain
from deliverability.subdomain.planning import SubdomainLook
from flows.opening import open_estate

PERSISTED: dict[str, Any] = {
    "persist_result": True,
    "cache_policy": INPUTS + RUN_ID,
    "result_serializer": "json",
}


async def _is_unreachable(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Only a network that fails is worth another try: a wrong key or a malformed file stays what it is."""
    result = await state.aresult(raise_on_failure=False)
    return isinstance(result, HostUnreachable)


RETRIED: dict[str, Any] = {"retries": 2, "retry_delay_seconds": 3, "retry_condition_fn": _is_unreachable}


@task(**PERSISTED)
def begin(procedure: str, estate: str, attempt: int) -> dict[str, str]:
    """The run's identity: its name on the hosts and in the reports, its start, and what started it.

    `attempt` is one more after every retry of the flow run.
    """
    now = datetime.now(UTC)
    flow_run = str(runtime.flow_run.id or "")
    trigger = "a Prefect deployment" if runtime.deployment.id else "the command line"
    return {
        "run": f"{now:%Y%m%dT%H%M%S}-{flow_run[:8]}",
        "started": now.isoformat(timespec="seconds"),
        "trigger": f"{procedure} for {estate}, from {trigger}, flow run {runtime.flow_run.name}",
    }


@task(**PERSISTED)
def publish(key: str, markdown: str) -> None:
    """Show Markdown as an artifact of the run, once."""
    create_markdown_artifact(key=key, markdown=markdown, description=key.replace("-", " "))


@task(**PERSISTED, **RETRIED)
def settle(estate: str, run: str) -> str:
    """Undo what a run left that died on the sending host; what was found there, "" if nothing.

    This needs no approval: it is what the host's guard would do by itself at its deadline. Raises Held, UndoFailed.
    """
    opened = open_estate(estate)
    with SshHost.of(opened.mta.host, opened.hosts[opened.mta.host]).operate() as host:
        before = guard.last(host)
        if before is None or before.settled:
            return guard.settle(host)
        with host_lock.hold(host, run, "nobody", "to settle what a dead run left", guard.UNDO_SECONDS):
            return guard.settle(host)


@task(**PERSISTED, **RETRIED)
def observe_footprint(estate: str, moment: str) -> Footprint:
    """One read-only look at the sending host and its published SPF. `moment` tells the looks of one run apart."""
    opened = open_estate(estate)
    host = SshHost.of(opened.mta.host, opened.hosts[opened.mta.host])
    with host.observe() as reader:
        guard.refuse_unsettled(reader)
        return mta.read_footprint(reader, opened, PublicResolver.of(opened))


@task(**PERSISTED, **RETRIED)
def observe_spf(estate: str, moment: str) -> SpfLook:
    """One read-only look at the zone on its master, at what DNS shows, and at the sending host's log."""
    opened = open_estate(estate)
    master, mta = (SshHost.of(name, opened.hosts[name]) for name in (opened.dns.master, opened.mta.host))
    with master.observe() as on_master, mta.observe() as on_mta:
        return spf_look.read(on_master, on_mta, opened)


@task(**PERSISTED, **RETRIED)
def observe_subdomain(estate: str, domain: str, selector: str, moment: str) -> SubdomainLook:
    """One read-only look at what there is of a sending subdomain, at the DNS master and at the sending host."""
    opened = open_estate(estate)
    what = subdomain.target(opened, domain, selector)
    master, mta = (SshHost.of(name, opened.hosts[name]) for name in (opened.dns.master, opened.mta.host))
    with master.observe() as on_master, mta.observe() as on_mta:
        guard.refuse_unsettled(on_mta)
        return subdomain_look.read(on_master, on_mta, opened, what)


@task(**PERSISTED, **RETRIED)
def observe_past_run(estate: str, run: str, moment: str) -> PastRun:
    """What the sending host remembers of a finished run, given by its name or the beginning of it."""
    opened = open_estate(estate)
    with SshHost.of(opened.mta.host, opened.hosts[opened.mta.host]).observe() as reader:
        return past_run.read(reader, opened, run)


@task(**PERSISTED, **RETRIED)
def observe_forward(estate: str, past: Plan, moment: str) -> ForwardLook:
    """What there is now of all that a finished run changed, by its plan."""
    opened = open_estate(estate)
    master, mta = (SshHost.of(name, opened.hosts[name]) for name in (opened.dns.master, opened.mta.host))
    with master.observe() as on_master, mta.observe() as on_mta:
        return forward_look.read(on_master, on_mta, opened, past)


@task(**PERSISTED, **RETRIED)
def observe_reexpansion(estate: str, address: str, moment: str) -> ReexpansionLook:
    """One read-only look at the sending host, the zone, and what DNS calls the address that is to come back."""
    opened = open_estate(estate)
    what = reexpansion.target(opened, address)
    master, mta = (SshHost.of(name, opened.hosts[name]) for name in (opened.dns.master, opened.mta.host))
    with master.observe() as on_master, mta.observe() as on_mta:
        guard.refuse_unsettled(on_mta)
        return reexpansion_look.read(on_master, on_mta, opened, what)
