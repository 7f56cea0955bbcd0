"""Who cannot run the rehearsal estate skips its tests, and says why; with RUNBOOK_REHEARSAL=required (CI) they fail."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from estate_probes import PROJECT

from blocks import mta
from blocks.resolver import PublicResolver
from blocks.ssh_session import Writer
from deliverability import estate as estates_model
from deliverability.footprint import planning
from deliverability.plan import Plan
from estates import Desk
from rehearsal import Estate, RehearsalUnavailable
from rehearsal.estate import check_machine

LISTENER = """
import http.server, json, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        pathlib.Path(sys.argv[1]).write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
    def log_message(self, *words):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.handle_request()
"""


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("rehearsal") is None:
        return
    try:
        check_machine()
    except RehearsalUnavailable as reason:
        if os.environ.get("RUNBOOK_REHEARSAL") == "required":
            pytest.fail(f"RUNBOOK_REHEARSAL=required, but {reason}", pytrace=False)
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with Estate() as started:
        yield started


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def writer(desk: Desk) -> Iterator[Writer]:
    with desk.connected(desk.host().operate()) as writer:
        yield writer


@pytest.fixture(scope="session")
def model() -> estates_model.Estate:
    return estates_model.load(PROJECT / "estates" / "rehearsal.toml")


@pytest.fixture
def plan(desk: Desk, writer: Writer, model: estates_model.Estate) -> Plan:
    """The cleanup of the host as it is now."""
    look = desk.in_hub(lambda: mta.read_footprint(writer, model, PublicResolver.of(model)))
    return planning.plan(look, model)


@pytest.fixture
def listener(desk: Desk) -> Iterator[tuple[str, Path]]:
    """Somebody who is told: the apprise address, and the file with what they were told."""
    told = desk.var / "told.json"
    command = ["python3", "-u", "-c", LISTENER, str(told)]
    with desk.estate.hub_popen(command, stdout=-1, text=True, cwd=PROJECT) as server:
        assert server.stdout is not None
        yield f"json://127.0.0.1:{server.stdout.readline().strip()}", told
        server.kill()
