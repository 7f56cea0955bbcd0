"""prefect.yaml says only what Prefect understands: `prefect deploy` itself lets misspelt keys and parameters pass."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import Flow, load_flow_from_entrypoint

from deployments.settings import POOL, ROOT

FILE = ROOT / "prefect.yaml"
CONTENT: dict[str, Any] = yaml.safe_load(FILE.read_text())
DEPLOYMENTS: list[dict[str, Any]] = CONTENT["deployments"]
KEYS = {"name", "prefect-version", "build", "push", "pull", "definitions", "deployments"}
DEPLOYMENT_KEYS = {
    "concurrency_limit", "description", "entrypoint", "name", "parameters", "schedules", "tags", "work_pool"
}  # fmt: skip
ASKED = {
    "run": "20261125T015131-a0430749",
    "uidvalidity": 1,
    "uids": [1, 2],
}
"""Parameters that whoever starts a deployment has to fill in, a person or another run, with values for example."""

SHARED = {"flows/hygiene/dmarc_part.py:dmarc_part": 4}
"""Flows of which several may run at once: they change no host."""

SCHEDULE_KEYS = {"active", "cron", "parameters", "slug", "timezone"}

each = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: f"{one['entrypoint']}/{one['name']}")


def flow(deployment: dict[str, Any]) -> Flow[..., Any]:
    return load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))


def test_the_file_has_no_unknown_keys() -> None:
    assert set(CONTENT) <= KEYS


def test_the_file_names_no_place_on_a_machine() -> None:
    assert CONTENT["pull"] == [
        {"prefect.deployments.steps.set_working_directory": {"directory": "{{ $RUNBOOK_ROOT }}"}}
    ]
    for deployment in DEPLOYMENTS:
        assert not Path(deployment["entrypoint"]).is_absolute()


def test_a_name_is_used_once() -> None:
    names = [(flow(one).name, one["name"]) for one in DEPLOYMENTS]
    assert len(set(names)) == len(names)


@each
def test_a_deployment_has_no_unknown_keys(deployment: dict[str, Any]) -> None:
    assert set(deployment) <= DEPLOYMENT_KEYS
    assert set(deployment["work_pool"]) == {"name", "work_queue_name"}
    assert deployment["work_pool"]["name"] == POOL


@each
def test_its_parameters_are_those_of_its_flow(deployment: dict[str, Any]) -> None:
    found = flow(deployment)
    given = deployment.get("parameters", {})
    assert set(given) <= set(found.parameters.properties)
    left = set(found.parameters.required) - set(given)
    found.validate_parameters(given | {name: ASKED[name] for name in left})


@each
def test_an_approved_run_waits_for_its_turn(deployment: dict[str, Any]) -> None:
    limit = SHARED.get(deployment["entrypoint"], 1)
    assert deployment["concurrency_limit"] == {"limit": limit, "collision_strategy": "ENQUEUE"}


@each
def test_its_schedules_are_in_utc(deployment: dict[str, Any]) -> None:
    for schedule in deployment.get("schedules", []):
        assert set(schedule) <= SCHEDULE_KEYS
        assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"]).timezone == "UTC"


def test_every_procedure_has_a_deployment() -> None:
    files = {
        path.relative_to(ROOT) for folder in ("incident", "hygiene") for path in (ROOT / "flows" / folder).glob("*.py")
    }
    deployed = {Path(one["entrypoint"].partition(":")[0]) for one in DEPLOYMENTS}
    assert deployed == {file for file in files if file.name != "__init__.py"}
