"""The local Prefect from its first start to its end, on this machine, for real."""

import base64
import http.client
import json
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

from deliverability.errors import ServerError
from deployments import processes, server, settings
from tests.flows.prefect_lab import Lab, free_port, lab

GATED = Path(__file__).parents[1] / "flows" / "gated.yaml"


@pytest.fixture(scope="module")
def prefect() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of these tests alone, for what would disturb others."""
    folder = tmp_path_factory.mktemp("home")
    yield folder
    server.down(folder, patience=5)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


def up(home: Path, port: int, **extra: str) -> server.Status:
    return server.up(home, port, extra=extra, prefect_file=GATED)


def get(lab: Lab, path: str, *, password: str | None = None) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection(lab.url.removeprefix("http://"), timeout=10)
    headers = {"Origin": "http://elsewhere.example"}
    if password is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(password.encode()).decode()
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if body else None, dict(answer.getheaders())


def sockets(pid: int) -> list[tuple[str, str, str]]:
    """Local address, remote address and state of all TCP sockets of a process, IPv6 included, in the kernel's hex."""
    own = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in own:
                found.append((fields[1], fields[2], fields[3]))
    return found


def environment_of(pid: int) -> dict[str, str]:
    raw = Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(entry.partition("=")[::2] for entry in raw.split("\0") if entry)


def test_without_the_password_nothing_but_health(prefect: Lab) -> None:
    assert get(prefect, "/api/health")[0] == 200
    for path in ("/api/admin/settings", "/api/deployments/name/gated/test", f"/api/flow_runs/{uuid4()}"):
        assert get(prefect, path)[0] == 401
        assert get(prefect, path, password="runbook:wrong")[0] == 401
    assert get(prefect, "/api/deployments/name/gated/test", password=settings.auth(prefect.home))[0] == 200


def test_a_web_page_from_elsewhere_gets_nothing(prefect: Lab) -> None:
    headers = get(prefect, "/api/health")[2]
    assert "access-control-allow-origin" not in {name.lower() for name in headers}


def test_the_password_is_its_owners_alone(prefect: Lab) -> None:
    file = server.status(prefect.home).login_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(prefect.home.stat().st_mode) == 0o700
    assert len(file.read_text()) > 30
    for pid in (prefect.pid("server"), prefect.pid("worker")):
        assert file.read_text().strip() not in Path(f"/proc/{pid}/cmdline").read_text()


def test_every_channel_to_its_makers_is_closed(prefect: Lab) -> None:
    status, body, _ = get(prefect, "/api/admin/settings", password=settings.auth(prefect.home))
    assert status == 200
    assert body["server"]["analytics_enabled"] is False
    assert body["server"]["ui"]["show_promotional_content"] is False
    assert body["server"]["ui"]["v2_enabled"] is False
    assert body["telemetry"]["enable_resource_metrics"] is False
    assert body["cloud"]["enable_orchestration_telemetry"] is False
    for name in ("server", "worker"):
        assert settings.QUIET.items() <= environment_of(prefect.pid(name)).items()


def test_nothing_leaves_the_loopback_interface(prefect: Lab) -> None:
    loopback = "0100007F:"
    for name in ("server", "worker"):
        seen = sockets(prefect.pid(name))
        assert all(local.startswith(loopback) for local, _, _ in seen), seen
        assert all(remote.startswith((loopback, "00000000:")) for _, remote, _ in seen), seen
    assert any(state == "0A" for _, _, state in sockets(prefect.pid("server")))


def test_up_status_up(home: Path, port: int) -> None:
    assert not server.status(home).up
    with pytest.raises(ServerError, match=r"no Prefect server runs in .*\n  next: runbook up"):
        server.client(home)
    said: list[str] = []
    first = server.up(home, port, say=said.append, prefect_file=GATED)
    assert first.up
    assert first.url == f"http://127.0.0.1:{port}"
    assert [line.split("  ")[0] for line in said[1:]] == [
        "server answers", "worker starts", "deployments registered", "worker is ready"
    ]  # fmt: skip
    assert up(home, port) == first == server.status(home)


def test_another_port_is_not_a_second_server(home: Path, port: int) -> None:
    with pytest.raises(ServerError, match=f"runs on port {port}, not on 1\n  next: runbook down"):
        up(home, 1)


def test_a_dead_worker_is_replaced_and_knows_what_it_is_told(home: Path, port: int) -> None:
    before = server.status(home)
    assert before.worker is not None
    processes._signal(before.worker, signal.SIGKILL)
    while server.status(home).worker is not None:
        time.sleep(0.05)
    after = up(home, port, RUNBOOK_TEST="told")
    assert after.up
    assert after.server == before.server
    assert after.worker is not None
    assert environment_of(after.worker)["RUNBOOK_TEST"] == "told"


def test_a_slot_that_is_held_survives_a_restart(home: Path, port: int) -> None:
    with server.client(home) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="mailhost:mta", limit=1))
        lease = client.increment_concurrency_slots_with_lease(
            names=["mailhost:mta"], slots=1, mode="concurrency", lease_duration=60
        ).json()["lease_id"]
    server.down(home, patience=5)
    up(home, port)
    with server.client(home) as client:
        renewed = client.renew_concurrency_lease(lease_id=lease, lease_duration=60)
    assert renewed.is_success


def test_down_leaves_nothing(home: Path, port: int) -> None:
    records = [processes.recorded(name, home) for name in ("server", "worker")]
    server.down(home, patience=5)
    for record in records:
        assert record is not None
        assert not processes.alive(record)
        assert processes.members(record) == []
    assert not [pid for pid in processes._pids() if f"PREFECT_HOME={home}".encode() in processes._environment(pid)]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert not server.status(home).up
    server.down(home)


def test_a_taken_port_names_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} on 127\.0\.0\.1 is taken by process \d+ \(.+\)\n  next: "):
            up(tmp_path, port)


def test_a_reused_pid_is_not_ours(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        record = processes.Record(pid=stranger.pid, started=1, mark="server-of-long-ago")
        processes.pid_file("server", tmp_path).write_text(record.model_dump_json())
        assert processes.running("server", tmp_path) is None
        assert server.status(tmp_path).server is None
        server.down(tmp_path, patience=1)
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("content", ["", "12", "{", '{"pid": "x"}'])
def test_a_pid_file_that_makes_no_sense_is_no_process(tmp_path: Path, content: str) -> None:
    processes.pid_file("server", tmp_path).write_text(content)
    assert not server.status(tmp_path).up
    server.down(tmp_path)


def test_descendants_end_with_their_process(tmp_path: Path) -> None:
    grandchild = "import subprocess, sys; subprocess.Popen(['sleep', '60'], start_new_session=True); sys.exit()"
    command = [
        sys.executable,
        "-c",
        f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {grandchild!r}]); time.sleep(60)",
    ]
    record = processes.start("worker", tmp_path, command, {"PATH": "/usr/bin:/bin"}, tmp_path)
    while len(processes.members(record)) < 2:
        time.sleep(0.05)
    assert processes.stop("worker", tmp_path, patience=5)
    assert processes.members(record) == []
    assert not processes.stop("worker", tmp_path, patience=5)
