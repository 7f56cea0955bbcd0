"""An operator starts a run, reads its plan, approves it and reads the report, with nothing but a browser."""

from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from deployments import settings
from tests.flows.gated import plan
from tests.flows.prefect_lab import lab
from tests.ui.prefect_page import PrefectPage

pytestmark = pytest.mark.ui


def test_approve(page: Page, screenshots: Path) -> None:
    prefect = lab()
    ui = PrefectPage(page, prefect.url, screenshots)
    ui.log_in(settings.auth(prefect.home))
    ui.open_deployment("gated", "test")
    ui.start_run(f"by-hand-{uuid4().hex[:6]}")
    ui.wait_for_state("Suspended")
    form = ui.open_gate()
    for shown in (plan().short_digest, "192.0.2.77", "runbook approve by-hand-"):
        expect(form.get_by_text(shown).first).to_be_visible()
    ui.answer(form, "approve", plan().short_digest, "Ann Onym", "the form is clear")
    ui.wait_for_state("Completed")
    report = ui.open_artifact("gated-report")
    expect(report.get_by_text("approve by Ann Onym")).to_be_visible()
    assert ui.hosts == {prefect.url.removeprefix("http://")}
