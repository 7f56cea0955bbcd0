"""The cleanup as an operator does it with nothing but a browser: start a run, read the plan, decide, read the report.

Chromium runs in the estate's hub like everything else of a rehearsal: nothing it might ask for can leave.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hostile_report
import pytest
from estate_probes import until
from playwright.sync_api import Browser, Locator, Page, Playwright, ViewportSize, expect, sync_playwright
from prefect_page import PrefectPage

from deployments import server, settings
from deployments.rehearse import prefect_home
from estates import PATIENCE, Desk

pytestmark = pytest.mark.rehearsal

KEPT = {f"207.174.124.{last}" for last in (71, 72, 94, 107)}


QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-3d-apis", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""Chromium's switches: it runs as root here, without a screen, and asks nobody outside for anything.

The graph of a run is drawn with WebGL, which without a graphics card takes a whole processor: it is left out."""


VIEWPORT = ViewportSize(width=1400, height=1000)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's Chromium."""
    found = shutil.which("chromium")
    if found is None:
        missing = "no chromium on PATH: apt-get install chromium"
        if os.environ.get("RUNBOOK_REHEARSAL") == "required":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return found


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=60_000)
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where the pictures go: $RUNBOOK_SCREENSHOTS, or var/screenshots."""
    folder = Path(os.environ.get("RUNBOOK_SCREENSHOTS") or settings.ROOT / "var" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def hub_browser(playwright: Playwright, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    desk = Desk(tmp_path_factory.mktemp("browser"))
    hub = json.loads((desk.estate.state / "estate.json").read_text())["hub"]
    inside = tmp_path_factory.mktemp("bin") / "chromium"
    inside.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{hub}/ns/net {chromium} "$@"\n')
    inside.chmod(0o755)
    started = playwright.chromium.launch(executable_path=inside, args=QUIET)
    yield started
    started.close()


@pytest.fixture
def page(hub_browser: Browser) -> Iterator[Page]:
    opened = hub_browser.new_page(viewport=VIEWPORT)
    yield opened
    opened.close()


class Visit:
    """One run started in the browser, up to its gate."""

    def __init__(self, desk: Desk, page: Page, screenshots: Path) -> None:
        home = prefect_home(desk.estate.state)
        port = settings.port_of(home)
        self.desk = desk
        self.ui = PrefectPage(page, settings.url(port), screenshots)
        self.run = f"by-hand-{uuid4().hex[:6]}"
        self.server = f"127.0.0.1:{port}"
        self.ui.log_in(settings.auth(home))
        self.ui.open_deployment("snowshoe-cleanup", "rehearsal")
        self.ui.start_run(self.run)
        self.ui.wait_for_state("Suspended")
        self.digest = self.waiting()["digest"][:12]

    def waiting(self) -> dict[str, str]:
        """What the command line says of this run, once it waits."""
        runs = json.loads(self.desk.run("approvals", "--json").stdout)["waiting"]
        (mine,) = [run for run in runs if run["name"] == self.run]
        return dict(mine)

    def gate(self) -> Locator:
        form = self.ui.open_gate()
        for shown in (self.digest, "18 addresses go", "transport yahooslow", "port 2528"):
            expect(form.get_by_text(shown).first).to_be_attached()
        return form

    def report(self, status: str) -> Locator:
        report = self.ui.open_artifact("snowshoe-cleanup-report", f"snowshoe-cleanup: {status}")
        assert self.ui.hosts == {self.server}, "the page asked somebody else"
        return report


def shots(screenshots: Path, name: str) -> Path:
    folder = screenshots / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_an_approval_is_carried_out(desk: Desk, page: Page, screenshots: Path) -> None:
    visit = Visit(desk, page, shots(screenshots, "approve"))
    visit.ui.answer(visit.gate(), "approve", visit.digest, "Ann Lee", "CHG-1432")
    visit.ui.wait_for_state("Completed")
    report = visit.report("done")
    for shown in ("Ann Lee", "CHG-1432", "receiver microsoft"):
        expect(report.get_by_text(shown).first).to_be_attached()
    assert desk.live() == KEPT


def test_a_wrong_digest_is_asked_again_and_a_rejection_changes_nothing(
    desk: Desk, page: Page, screenshots: Path
) -> None:
    before = desk.everything()
    visit = Visit(desk, page, shots(screenshots, "reject"))
    visit.ui.answer(visit.gate(), "approve", "0123456789ab", "Ann Lee", "in a hurry")
    until(lambda: asked_again(visit), PATIENCE)
    page.reload()
    form = visit.gate()
    expect(form.get_by_text("the digest 0123456789ab is not of this plan").first).to_be_visible()
    assert desk.everything() == before
    visit.ui.answer(form, "reject", "", "Ann Lee", "better read it first")
    visit.ui.wait_for_state("Cancelled")
    expect(visit.report("rejected").get_by_text("better read it first").first).to_be_attached()
    assert desk.everything() == before


def asked_again(visit: Visit) -> bool:
    runs = json.loads(visit.desk.run("approvals", "--json").stdout)["waiting"]
    return any(run["name"] == visit.run and "was not taken" in run["shown"] for run in runs)


# the report of what strangers wrote

TALL = ViewportSize(width=1400, height=4000)


def test_a_report_of_attacks_is_text_and_its_charts_are_shown(desk: Desk, page: Page, screenshots: Path) -> None:
    home = prefect_home(desk.estate.state)
    port = settings.port_of(home)
    artifact = desk.in_hub(lambda: publish(home, hostile_report.text()))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    ui = PrefectPage(page, settings.url(port), shots(screenshots, "dmarc"))
    ui.log_in(settings.auth(home))
    page.set_viewport_size(TALL)  # the page scrolls within itself: this is what brings all of it into a picture
    report = ui.open_artifact_by_id(artifact, "What could not be used")
    for shown in hostile_report.SHOWN:
        expect(report.get_by_text(shown).first).to_be_visible()
    for chart in (pictures := report.locator("img")).all():
        expect(chart).to_be_visible()
        assert str(chart.get_attribute("src")).startswith("data:image/png;base64,")
        assert chart.evaluate("image => image.decode().then(() => image.naturalWidth)") == 900
    assert pictures.count() == 2
    assert report.locator("script, iframe, object, embed, svg, a, form, input, link, style").count() == 0
    assert "owned" not in page.title()
    assert (dialogs, ui.hosts) == ([], {f"127.0.0.1:{port}"})


def publish(home: Path, text: str) -> str:
    artifact = {"key": "dmarc", "type": "markdown", "data": text}
    with server.client(home) as client:  # create_artifact() would tell an event too, to a server of this process's own
        return str(client.request("POST", "/artifacts/", json=artifact).json()["id"])
