"""A procedure that does nothing but wait at its gate: what the tests deploy to a real server and worker."""

from datetime import UTC, datetime, timedelta

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import INPUTS, RUN_ID
from prefect.client.schemas.objects import State
from prefect.states import Completed

from deliverability.plan import Plan, ReloadService, RemoveAddress
from flows.gates.gate import gate
from reports.render import plan_markdown


@task(persist_result=True, cache_policy=INPUTS + RUN_ID, result_serializer="json")
def begin() -> str:
    return datetime.now(UTC).isoformat()


def plan() -> Plan:
    return Plan(
        procedure="gated",
        estate="rehearsal",
        host="mta",
        changes=(
            RemoveAddress(host="mta", interface="eth0", address="192.0.2.77", prefix=24, label="eth0:77", why="unused"),
            ReloadService(host="mta", service="postfix", why="it reads its files again"),
        ),
    )


@flow(name="gated", persist_result=True, result_serializer="json")
def gated(seconds: float = 600, unattended: bool = False) -> State[str]:
    """Wait `seconds` at most; the decision, as JSON, is the message of the final state."""
    deadline = datetime.fromisoformat(begin()) + timedelta(seconds=seconds)
    decision = gate(plan(), plan_markdown(plan()), key="approve", deadline=deadline, unattended=unattended)
    create_markdown_artifact(key="gated-report", markdown=f"# Report\n\n{decision.choice} by {decision.by}")
    return Completed(message=decision.model_dump_json())
