"""A large mailbox is read by several runs at once, each on whichever worker is free; every report counts once."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from estate_probes import until
from mailroom import POSTGRESQL, Mailroom

from deployments import server
from deployments.rehearse import prefect_home
from estates import PATIENCE, Desk
from flows.dmarc.fetch import PART
from rehearsal.dmarc import week
from rehearsal.dmarc.week import DAY_SECONDS

pytestmark = pytest.mark.rehearsal
TODAY = int(time.time()) // DAY_SECONDS * DAY_SECONDS


def run_deployed(desk: Desk) -> tuple[str, list[str]]:
    """Run the deployment to its end: its last state, and the names of its tasks."""
    with server.client(prefect_home(desk.estate.state)) as client:
        deployment = client.read_deployment_by_name("dmarc-daily/rehearsal")
        run = client.create_flow_run_from_deployment(deployment.id, parameters={"estate": desk.file})
        assert until(lambda: (state := client.read_flow_run(run.id).state) and state.is_final(), 3 * PATIENCE)
        state = client.read_flow_run(run.id).state
        assert state is not None
        return f"{state.name}: {state.message}", [
            one.name for one in client.read_task_runs() if one.flow_run_id == run.id
        ]


def parameters_of_parts(desk: Desk) -> list[set[str]]:
    def look() -> list[set[str]]:
        with server.client(prefect_home(desk.estate.state)) as client:
            part = client.read_deployment_by_name("dmarc-part/rehearsal").id
            return [set(run.parameters) for run in client.read_flow_runs() if run.deployment_id == part]

    return desk.in_hub(look)


def test_parts_on_workers(desk: Desk) -> None:
    room = Mailroom(desk)
    room.host.run(["report-database", "start"])
    room.use(POSTGRESQL)
    sent = week.busy(TODAY, PART + 100)
    room.deliver(sent.mails)
    ended, tasks = desk.in_hub(lambda: run_deployed(desk))
    assert ended.startswith("Completed"), ended
    assert sum(name.endswith("on a worker") for name in tasks) == 2
    # none of them is the store, whose address may have a password
    assert parameters_of_parts(desk) == [{"estate", "uidvalidity", "uids", "again"}] * 2
    assert Counter(room.ledger().values()) == sent.outcomes
    totals = Counter[str]()
    for line in room.lines():
        totals[line.source] += line.count
    assert totals == sent.messages


def test_a_scheduled_run_that_fails_tells_a_person(desk: Desk, listener: tuple[str, Path]) -> None:
    room = Mailroom(desk)
    address, told = listener
    (desk.var / "on-call").write_text(f"{address}\n")
    login = f'env_file = "file:{desk.var}/nowhere"'
    room.use(room.store, f'{login}\n[notifications]\nurls = "file:{desk.var}/on-call"')
    ended, _ = desk.in_hub(lambda: run_deployed(desk))
    assert ended.startswith("Failed: error:"), ended
    message = json.loads(told.read_text())
    assert message["title"] == "rehearsal: dmarc-daily failed"
    assert f"{desk.var}/nowhere, which has the login of the mailbox, cannot be read" in message["message"]
