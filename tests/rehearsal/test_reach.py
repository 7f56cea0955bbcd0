"""The rehearsal estate can be reached by those who mean to, and nothing of it reaches out."""

import socket
import subprocess
import sys

import estate_probes as probes
import pytest

from rehearsal import Estate, NotIsolated, RehearsalError, RunningEstate, assert_isolated, running

pytestmark = pytest.mark.rehearsal


def test_ssh_with_the_pinned_host_key(estate: Estate) -> None:
    options = ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={estate.state}/known_hosts"]
    ssh = ["ssh", "-o", "BatchMode=yes", *options, "-i", f"{estate.state}/keys/operator", "root@207.174.124.71"]
    assert estate.hub_run([*ssh, "hostname"]).stdout == "perfwest\n"
    (estate.state / "empty").touch()
    unknown = [word.replace("known_hosts", "empty") for word in ssh]
    assert "Host key verification failed" in estate.hub_run([*unknown, "hostname"]).stderr


def test_a_stray_connection_fails_at_once(estate: Estate) -> None:
    code = "import socket, time\nbegan = time.monotonic()\n"
    code += "try: socket.create_connection(('198.51.100.7', 22), 5)\n"
    code += "except OSError as error: print(error.errno, time.monotonic() - began < 0.5)\n"
    assert probes.python_in_hub(estate, code).stdout.split() == ["101", "True"]


def test_the_machine_gained_no_address(estate: Estate) -> None:
    assert len(probes.addresses(estate.host("mta"))) == 22
    assert not [address for address in probes.machine_addresses() if address.startswith(("207.174.", "203.0.113."))]


def test_the_machine_is_not_isolated_and_the_hub_is(estate: Estate) -> None:
    with pytest.raises(NotIsolated, match="no rehearsal0 bridge"):
        assert_isolated()
    code = "import rehearsal; rehearsal.assert_isolated(); print('isolated')"
    assert probes.python_in_hub(estate, code).stdout == "isolated\n"


@pytest.mark.parametrize(
    ("way_out", "back", "complaint"),
    [
        ("route add default dev rehearsal0", "route del default", "a route to everywhere: /0"),
        ("route add 128.0.0.0/1 dev rehearsal0", "route del 128.0.0.0/1", "a route to everywhere: /1"),
        ("-6 route add default dev rehearsal0", "-6 route del default", "a route to everywhere: /0"),
        ("link add uplink type veth peer name uplink2", "link del uplink", "not the estate's: uplink, uplink2"),
    ],
)
def test_a_way_out_is_noticed(estate: Estate, way_out: str, back: str, complaint: str) -> None:
    assert estate.hub_run(["ip", *way_out.split()]).returncode == 0
    try:
        refused = probes.python_in_hub(estate, "import rehearsal; rehearsal.assert_isolated()")
    finally:
        assert estate.hub_run(["ip", *back.split()]).returncode == 0
    assert "NotIsolated" in refused.stderr
    assert complaint in refused.stderr


def test_another_process_enters(estate: Estate) -> None:
    assert estate.state in running()
    code = "import pathlib, rehearsal, socket, sys\n"
    code += "rehearsal.enter(pathlib.Path(sys.argv[1]))\n"
    code += "print(socket.create_connection(('207.174.124.71', 25), 5).recv(99).decode())\n"
    argv = [sys.executable, "-W", "error", "-c", code, str(estate.state)]
    entered = subprocess.run(argv, cwd=probes.PROJECT, capture_output=True, text=True, check=False)
    assert entered.stdout.startswith("220 perfwest.performancewest.net ESMTP"), entered.stderr


def test_entering_with_other_threads_is_refused(estate: Estate) -> None:
    code = "import pathlib, rehearsal, sys, threading, time\n"
    code += "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    code += "rehearsal.enter(pathlib.Path(sys.argv[1]))\n"
    argv = [sys.executable, "-c", code, str(estate.state)]
    refused = subprocess.run(argv, cwd=probes.PROJECT, capture_output=True, text=True, check=False)
    assert "before others start" in refused.stderr


def test_a_process_of_another_runner_can_look_but_not_restart(estate: Estate) -> None:
    attached = RunningEstate(estate.state)
    assert attached.host("mta").run(["hostname"]).stdout == "perfwest\n"
    with pytest.raises(RehearsalError, match="only the process that started the estate"):
        attached.host("mta").restart()
    with pytest.raises(RehearsalError, match="there are mta, ns"):
        attached.host("mat")


def test_a_published_port_leads_into_the_hub(estate: Estate) -> None:
    server = "import socket\ns = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\n"
    server += "while True:\n c, _ = s.accept(); c.sendall(c.recv(99).upper()); c.close()\n"
    inside = estate.hub_popen([sys.executable, "-I", "-c", server], stdout=subprocess.PIPE, text=True)
    with inside:
        assert inside.stdout is not None
        port = int(inside.stdout.readline())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
        estate.publish(port)
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), 5) as client:
                client.sendall(b"hello")
                assert client.recv(99) == b"HELLO"
        with Estate() as second, pytest.raises(RehearsalError, match="Address already in use"):
            second.publish(port)
        inside.kill()
