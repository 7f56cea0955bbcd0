"""A run in this process, when the Prefect server that it reports to is gone."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prefect.utilities.callables import parameter_schema

from deliverability.errors import RunbookError
from deployments import here
from flows import conduct
from reports.record import Record


class Unheard:
    """A flow whose server dies meanwhile."""

    parameters = parameter_schema(lambda estate, unattended: None)

    def __call__(self, **parameters: Any) -> None:
        raise httpx.ConnectError("[Errno 111] Connection refused\nFor more information: ...")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    return []


def run(said: list[str]) -> Record:
    return here.run(Unheard(), "performancewest", False, said.append)  # type: ignore[arg-type]


def test_a_run_that_ended_is_told_by_its_own_record(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    started = datetime(2026, 11, 25, tzinfo=UTC).isoformat()
    record = Record(
        run="r", procedure="p", estate="e", rehearsal=False, trigger="t", started=started, exit_code=0, summary="done"
    )
    monkeypatch.setattr(conduct, "ended", record)
    assert run(said) is record
    assert said == ["the Prefect server does not know how this run ended: [Errno 111] Connection refused"]


def test_a_run_that_did_not_end_is_an_error_of_one_line(said: list[str]) -> None:
    with pytest.raises(RunbookError) as refused:
        run(said)
    assert refused.value.fact == "the Prefect server does not answer: [Errno 111] Connection refused"
    assert refused.value.next_step == "runbook status"
