"""Prefect's own UI as an operator uses it: log in, start a run with its form, answer its gate, read its report.

Everything waits for something to be seen, nothing for time to pass.
"""

import re
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, Response, expect

PATIENCE = 60_000
"""Milliseconds: a run needs some seconds to start and to end."""
TRIES = 3


class PrefectPage:
    """One browser page at a Prefect server; every step leaves a numbered screenshot in `screenshots`."""

    def __init__(self, page: Page, url: str, screenshots: Path) -> None:
        self._page = page
        self._url = url
        self._screenshots = screenshots
        self._taken = 0
        self.hosts: set[str] = set()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda opened: self._note(opened.url))
        page.on("requestfailed", lambda request: print("failed:", request.method, request.url, request.failure))

    def log_in(self, login: str) -> None:
        """`login` is USER:PASSWORD."""
        self._page.goto(f"{self._url}/login")
        self._page.get_by_placeholder("admin:pass").fill(login)
        self.screenshot("login", hide=self._page.get_by_placeholder("admin:pass"))
        self._page.get_by_role("button", name="Login").click()
        self._page.wait_for_url(re.compile("dashboard|deployments|runs"))
        self._page.reload()  # the login page complains that it was not let in, and the complaint would stay in the way

    def open_deployment(self, flow: str, name: str) -> None:
        self._page.get_by_role("button", name="Deployments", exact=True).click()
        row = self._page.get_by_role("row").filter(has=self._page.get_by_role("link", name=flow, exact=True))
        row.get_by_role("link", name=name, exact=True).click()
        expect(self._page.get_by_text("Entrypoint")).to_be_visible()
        self.screenshot("deployment")

    def start_run(self, name: str) -> None:
        """Start a run through its form, with the parameters that stand in it, and open the run."""
        self._page.get_by_role("button", name="Run", exact=True).click()
        self._page.get_by_role("link", name="Custom run").click()
        expect(self._page.get_by_text("Run Name")).to_be_visible()
        self._page.get_by_role("textbox").first.fill(name)
        self.screenshot("run form")
        created = self._submit(self._page.get_by_role("button", name="Submit"), "create_flow_run")
        # The button that leads there is gone again after seconds, on a loaded machine before it can be clicked.
        self._page.goto(f"{self._url}/runs/flow-run/{created.json()['id']}")
        expect(self._page.get_by_role("banner").get_by_text(name)).to_be_visible()

    def wait_for_state(self, name: str) -> None:
        expect(self._page.get_by_role("banner").get_by_text(name, exact=True)).to_be_visible(timeout=PATIENCE)
        self.screenshot(name.lower())

    def open_gate(self) -> Locator:
        """The Resume form."""
        self._page.get_by_role("button", name="Resume").click()
        form = self._page.get_by_role("dialog")
        expect(form.get_by_text("Decision (Optional)")).to_be_visible()
        self.screenshot("gate")
        return form

    def answer(self, form: Locator, decision: str, digest: str, name: str, reason: str) -> None:
        """Fill the Resume form and send it."""
        form.locator(".p-select-button__icon").click()  # a click on the word itself opens and closes the list at once
        self._page.get_by_role("option", name=decision).click()
        digest_field, name_field, reason_field = form.get_by_role("textbox").all()
        digest_field.fill(digest)
        name_field.fill(name)
        reason_field.fill(reason)
        self.screenshot("answer")
        self._submit(form.get_by_role("button", name="Submit"), "resume")
        expect(form).to_be_hidden()

    def _submit(self, button: Locator, request: str) -> Response:
        """Press a form's button; once more if the server was too busy.

        Prefect answers 503 when two writes meet in SQLite ("database is locked"). Its own clients try again, its form
        does not: it says so and stays, for the operator to press the button again.
        """
        for _ in range(TRIES):
            with self._page.expect_response(re.compile(f"/{request}$")) as answer:
                button.click()
            if answer.value.status != HTTPStatus.SERVICE_UNAVAILABLE:
                break
        assert answer.value.ok, answer.value.text()
        return answer.value

    def open_artifact(self, key: str, heading: str) -> Locator:
        """The text of one of the run's artifacts, which has this heading."""
        self._page.get_by_text("Artifacts", exact=True).click()
        self._page.get_by_role("link", name=key).first.click()
        text = self._page.locator("main, body").last
        expect(text.get_by_role("heading", name=heading)).to_be_visible()
        self.screenshot(key)
        return text

    def open_artifact_by_id(self, artifact: str, heading: str) -> Locator:
        """The text of an artifact that may be of no run, and nothing of the page around it."""
        self._page.goto(f"{self._url}/artifacts/artifact/{artifact}")
        text = self._page.locator(".markdown-renderer")
        expect(text.get_by_role("heading", name=heading)).to_be_visible()
        self.screenshot("artifact")
        return text

    def screenshot(self, title: str, hide: Locator | None = None) -> None:
        self._taken += 1
        path = self._screenshots / f"{self._taken:02d}-{title.replace(' ', '-')}.png"
        self._page.screenshot(path=path, mask=[hide] if hide else [])

    def _note(self, url: str) -> None:
        """Remember whom the page talks to; pictures that stand in the page itself have nobody."""
        if host := urlsplit(url).netloc:
            self.hosts.add(host)
