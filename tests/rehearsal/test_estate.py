"""The rehearsal estate is what it says: the hosts of the runbook, isolated, and gone when it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import probes
import pytest

from rehearsal import (
    Estate,
    HostFailed,
    NotIsolated,
    RehearsalError,
    RunningEstate,
    assert_isolated,
    hosts,
    running,
)

pytestmark = pytest.mark.rehearsal

KEPT = {71, 72, 94, 107}
DORMANT = {*range(90, 94), *range(95, 107), 108, 109}
REMOVED_LATER = (
    ["yahooslow/unix", "2527/inet", "2528/inet", "hcout2/unix", "hcout3/unix"]
    + [f"out{number:02d}/unix" for number in range(2, 21) if number != 5]
    + [f"rehab{number:02d}/unix" for number in range(2, 5)]
)


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with Estate() as running_estate:
        yield running_estate


@pytest.fixture(autouse=True)
def normal_replies(estate: Estate) -> Iterator[None]:
    yield
    for name in ("microsoft", "google", "yahoo"):
        estate.receiver(name).clear()


# what the estate is


def test_all_addresses_are_live_and_71_is_primary(estate: Estate) -> None:
    found = probes.addresses(estate.host("mta"))
    assert {address["local"] for address in found} == {f"207.174.124.{last}" for last in KEPT | DORMANT}
    assert len(found) == 22
    assert {address["prefixlen"] for address in found} == {24}
    assert [address["local"] for address in found if not address.get("secondary")] == ["207.174.124.71"]


def test_71_is_the_default_source(estate: Estate) -> None:
    route = json.loads(estate.host("mta").run(["ip", "-j", "route", "get", "8.8.8.8"]).stdout)
    assert route[0]["prefsrc"] == "207.174.124.71"


def test_init_is_systemd_and_no_unit_failed(estate: Estate) -> None:
    mta = estate.host("mta")
    assert mta.run(["ps", "-o", "comm=", "-p", "1"]).stdout.strip() == "systemd"
    assert mta.run(["hostname"]).stdout.strip() == "perfwest"
    units = ["networking", "ssh", "postfix@-", "opendkim", "rsyslog", "cron"]
    assert mta.run(["systemctl", "is-active", *units]).stdout.split() == ["active"] * len(units)
    assert mta.run(["systemctl", "--failed", "--no-legend"]).stdout == ""


def test_postfix_accepts_its_configuration(estate: Estate) -> None:
    check = estate.host("mta").run(["postfix", "check"])
    assert (check.returncode, check.stderr) == (0, "")


def test_all_services_of_the_runbook_are_in_master_cf(estate: Estate) -> None:
    listing = estate.host("mta").run(["postconf", "-M"]).stdout
    services = {"/".join(line.split()[:2]) for line in listing.splitlines()}
    assert len(REMOVED_LATER) == 26
    assert {*REMOVED_LATER, "out05/unix", "hcout1/unix", "2526/inet", "smtp/inet"} <= services


def test_every_dormant_address_is_bound_by_a_transport_with_its_own_name(estate: Estate) -> None:
    listing = estate.host("mta").run(["postconf", "-P"]).stdout
    binds = dict(re.findall(r"^(\w+)/unix/smtp_bind_address = 207\.174\.124\.(\d+)$", listing, re.MULTILINE))
    helos = dict(re.findall(r"^(\w+)/unix/smtp_helo_name = (\w+)\.performancewest\.net$", listing, re.MULTILINE))
    logs = dict(re.findall(r"^(\w+)/unix/syslog_name = postfix/(\w+)$", listing, re.MULTILINE))
    assert {int(last) for last in binds.values()} == (KEPT | DORMANT) - {71, 72}
    for transport, last in binds.items():
        name = f"hcmta{int(last) - 106:02d}" if int(last) >= 107 else f"mta{int(last) - 89:02d}"
        assert (transport, helos[transport], logs[transport]) == (transport, name, transport)


def test_configuration_files_have_the_marks_of_age(estate: Estate) -> None:
    mta = estate.host("mta")
    master = mta.run(["cat", "/etc/postfix/master.cf"]).stdout
    assert re.search(r"\n\s+-o .*\n#.*\n\s+-o ", master), "a comment between continuation lines"
    assert "-o {" in master
    assert "\n\t-o " in master
    assert "\r" not in master
    interfaces = mta.run(["cat", "/etc/network/interfaces"]).stdout
    for style in ("post-up ", "iface eth0:3 inet static", "netmask ", "#   up "):
        assert style in interfaces
    assert interfaces.count("iface eth0 inet static") == 2


def test_the_dkim_key_in_dns_is_the_one_the_mta_signs_with(estate: Estate) -> None:
    mta = estate.host("mta")
    signing = "/etc/opendkim/keys/send.performancewest.net/send.private"
    mta.run(["openssl", "genrsa", "-out", "/root/other.private", "2048"])
    test = ["opendkim-testkey", "-d", "send.performancewest.net", "-s", "send", "-k"]
    assert mta.run([*test, signing]).returncode == 0
    assert mta.run([*test, "/root/other.private"]).returncode == 65


@pytest.mark.parametrize("server", ["207.174.124.22", "8.8.8.8", "1.1.1.1", "9.9.9.9"])
@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("send.performancewest.net", "TXT", '"v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 -all"'),
        ("performancewest.net", "MX", "10 co.carrierone.com."),
        ("mta17.performancewest.net", "A", "207.174.124.106"),
        ("109.124.174.207.in-addr.arpa", "PTR", "hcmta03.performancewest.net."),
        ("contoso.com", "MX", "0 contoso-com.mail.protection.outlook.com."),
    ],
)
def test_dns_answers(estate: Estate, server: str, name: str, kind: str, answer: str) -> None:
    dig = estate.host("mta").run(["dig", "+short", "+time=2", "+tries=1", f"@{server}", name, kind])
    assert answer in dig.stdout.splitlines()


def test_a_name_outside_this_world_does_not_exist_at_once(estate: Estate) -> None:
    began = time.monotonic()
    dig = estate.host("mta").run(["dig", "+time=5", "+tries=1", "nowhere.test", "A"])
    assert "status: NXDOMAIN" in dig.stdout
    assert time.monotonic() - began < 1


# mail


@pytest.mark.parametrize(
    ("port", "recipient", "receiver", "peer", "helo"),
    [
        (25, "ops@contoso.com", "microsoft", "207.174.124.94", "mta05.performancewest.net"),
        (2526, "ops@contoso.com", "microsoft", "207.174.124.107", "hcmta01.performancewest.net"),
        (2528, "ops@contoso.com", "microsoft", "207.174.124.109", "hcmta03.performancewest.net"),
        (25, "someone@gmail.com", "google", "207.174.124.94", "mta05.performancewest.net"),
        (25, "someone@yahoo.com", "yahoo", "207.174.124.94", "mta05.performancewest.net"),
    ],
)
def test_mail_arrives_signed_from_the_address_of_its_stream(
    estate: Estate, port: int, recipient: str, receiver: str, peer: str, helo: str
) -> None:
    inbox = estate.receiver(receiver)
    probes.inject(estate.host("mta"), port, recipient)
    (message,) = probes.until(inbox.messages)
    assert (message["peer"], message["helo"]) == (peer, helo)
    assert message["mail_from"] == "noreply@send.performancewest.net"
    assert message["rcpt_to"] == [recipient]
    text = inbox.text(message)
    assert text.startswith(b"Return-Path: <noreply@send.performancewest.net>\nReceived: from " + helo.encode())
    signature = re.search(rb"^DKIM-Signature:(.*\n(?:[ \t].*\n)*)", text, re.MULTILINE)
    assert signature is not None
    assert b"d=send.performancewest.net" in signature[1]
    assert b"s=send;" in signature[1]
    verified = estate.host("mta").run(["opendkim-testmsg"], input=text.decode().replace("\n", "\r\n"))
    assert (verified.returncode, verified.stderr) == (0, "")
    tampered = text.decode().replace("hello", "hallo").replace("\n", "\r\n")
    assert estate.host("mta").run(["opendkim-testmsg"], input=tampered).returncode != 0


@pytest.mark.parametrize("stage", ["connect", "helo", "mail", "rcpt", "data", "end"])
def test_a_receiver_answers_as_told(estate: Estate, stage: str) -> None:
    inbox = estate.receiver("microsoft")
    reply = "451 4.7.500 Server busy"
    inbox.reply(**{stage: reply})
    probes.inject(estate.host("mta"), 25, f"{stage}@contoso.com")
    message = probes.until(inbox.messages)[-1]
    assert (message["reply"], message["file"]) == (reply, None)
    mta = estate.host("mta")

    def deferred() -> str:
        log = mta.run(["grep", f"to=<{stage}@contoso.com>", "/var/log/mail.log"]).stdout
        return log if "status=deferred" in log and "4.7.500" in log else ""

    assert "postfix/out05/smtp" in probes.until(deferred)
    assert list((inbox.folder / "new").iterdir()) == []
    mta.run(["postsuper", "-d", "ALL"])


def test_a_reply_that_is_none_is_refused(estate: Estate) -> None:
    with pytest.raises(RehearsalError, match="stages are"):
        estate.receiver("microsoft").reply(rcpt="busy")
    with pytest.raises(RehearsalError, match="stages are"):
        estate.receiver("microsoft").reply(quit="451 4.7.1 no")


BAD_INPUT = """
import socket, sys
lines = {
    "nul": b"EHLO a\\r\\nMAIL FROM:<a@b\\0>\\r\\n",
    "binary": b"\\xff\\xfe\\xfd\\r\\n",
    "unknown": b"HACK me\\r\\n",
    "no name": b"EHLO\\r\\n",
    "sequence": b"EHLO a\\r\\nDATA\\r\\n",
    "bad path": b"EHLO a\\r\\nMAIL FROM: a b c\\r\\n",
    "long": b"NOOP " + b"x" * 200000 + b"\\r\\n",
    "smuggled": b"EHLO a\\r\\nMAIL FROM:<a@b>\\r\\nRCPT TO:<c@d>\\r\\nDATA\\r\\nhi\\n.\\nMAIL FROM:<e@f>\\r\\n.\\r\\n",
}
for name, line in lines.items():
    with socket.create_connection(("52.101.8.36", 25), 5) as s:
        try:
            s.sendall(line)
            s.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := s.recv(4096):
                answer += chunk
        except ConnectionError:
            pass
        print(name, "|", answer.decode().splitlines()[-1][:3] if answer else "reset")
"""


def test_a_receiver_survives_malformed_input(estate: Estate) -> None:
    done = estate.hub_run([sys.executable, "-I", "-c", BAD_INPUT])
    answers = dict(line.split(" | ") for line in done.stdout.splitlines())
    assert len(answers) == 8, done.stderr
    assert answers.pop("long") in ("421", "reset")
    assert {name: code[0] for name, code in answers.items()} == dict.fromkeys(answers, "5")
    inbox = estate.receiver("microsoft")
    assert [message for message in inbox.messages() if message["file"]] == []
    inbox.clear()
    probes.inject(estate.host("mta"), 25, "after@contoso.com")
    assert probes.until(inbox.messages)[0]["rcpt_to"] == ["after@contoso.com"]


# reaching it


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


# faults


def test_delay_and_cut(estate: Estate) -> None:
    def seconds_to_connect() -> float | None:
        code = "import socket, time\nbegan = time.monotonic()\n"
        code += "socket.create_connection(('207.174.124.71', 25), 0.8).recv(9)\nprint(time.monotonic() - began)\n"
        done = probes.python_in_hub(estate, code)
        return float(done.stdout) if done.returncode == 0 else None

    assert (seconds_to_connect() or 9) < 0.1
    estate.delay("mta", 100)
    try:
        assert probes.until(lambda: 0.2 <= (seconds_to_connect() or 0) < 0.6), "two round trips of 100 ms"
    finally:
        estate.undelay("mta")
    assert probes.until(lambda: (seconds_to_connect() or 9) < 0.1)
    estate.cut("mta")
    try:
        assert seconds_to_connect() is None
    finally:
        estate.mend("mta")
    assert probes.until(lambda: (seconds_to_connect() or 9) < 0.1)


def test_a_long_transfer_survives_the_delay_line(estate: Estate) -> None:
    options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={estate.state}/known_hosts"]
    ssh = ["ssh", *options, "-i", f"{estate.state}/keys/operator", "root@207.174.124.71"]
    estate.delay("mta", 20)
    try:
        assert len(estate.hub_run([*ssh, "head -c 300000 /dev/zero | base64 -w0"]).stdout) == 400000
    finally:
        estate.undelay("mta")


def test_a_reboot_keeps_files_and_drops_what_was_only_live(estate: Estate) -> None:
    mta = estate.host("mta")
    mta.run(["touch", "/root/kept", "/run/dropped"])
    mta.run(["sed", "-i", "/124.90/d", "/etc/network/interfaces"])
    mta.run(["ip", "addr", "del", "207.174.124.91/24", "dev", "eth0"])
    before = mta.pid
    mta.restart()
    try:
        assert mta.pid != before
        assert not probes.alive(before)
        assert mta.run(["ls", "/root/kept"]).returncode == 0
        assert mta.run(["ls", "/run/dropped"]).returncode == 2
        lasts = {int(address["local"].rpartition(".")[2]) for address in probes.addresses(mta)}
        assert lasts == (KEPT | DORMANT) - {90}
        assert RunningEstate(estate.state).host("mta").pid == mta.pid
    finally:
        estate.reset()
    assert mta.run(["ls", "/root/kept"]).returncode == 2
    assert len(probes.addresses(mta)) == 22
    probes.inject(mta, 25, "again@contoso.com")
    assert probes.until(estate.receiver("microsoft").messages)[0]["peer"] == "207.174.124.94"


def test_a_command_that_hangs_is_ended_with_its_children(estate: Estate) -> None:
    mta = estate.host("mta")
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        mta.run(["sh", "-c", "sleep 12345; true"], timeout=0.5)
    assert time.monotonic() - began < 3
    assert mta.run(["pgrep", "-f", "sleep 1234[5]"]).returncode == 1


def test_a_host_that_cannot_boot_shows_its_console(monkeypatch: pytest.MonkeyPatch) -> None:
    add = hosts.Machine.add

    def broken(machine: hosts.Machine, path: str, text: str, mode: int = 0o644) -> None:
        spoiled = path.endswith("rehearsal/boot") and machine.spec.name == "ns"
        add(machine, path, "echo the disk is on fire; exit 1\n" if spoiled else text, mode)

    monkeypatch.setattr(hosts.Machine, "add", broken)
    before = running()
    with pytest.raises(HostFailed, match=r"(?s)host ns died while starting.*the disk is on fire"), Estate():
        pass
    assert running() == before


# its end


def test_two_estates_side_by_side_and_stop_leaves_nothing(estate: Estate) -> None:
    first = probes.Footprint(estate.state)
    with Estate() as second:
        footprint = probes.Footprint(second.state)
        assert {estate.state, second.state} <= set(running())
        probes.inject(second.host("mta"), 25, "second@contoso.com")
        assert probes.until(second.receiver("microsoft").messages)[0]["peer"] == "207.174.124.94"
        assert estate.receiver("microsoft").messages() == []
    assert probes.until(lambda: not footprint.left(), 3), footprint.left()
    assert second.state not in running()
    assert first.state in running()
    assert all(probes.alive(pid) for pid in first.pids[:5])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_of_a_runner_that_ends(number: signal.Signals) -> None:
    argv = probes.command("up")
    with subprocess.Popen(
        argv, cwd=probes.PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as runner:
        assert runner.stdout is not None
        state = announced(runner.stdout.readline())
        footprint = probes.Footprint(state)
        runner.send_signal(number)
        runner.wait(10)
    assert runner.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert probes.until(lambda: not footprint.left(), 5), footprint.left()


def announced(line: str) -> Path:
    """The state folder a runner printed. Its estate must be among those that run."""
    state = Path(line.strip())
    assert state in running()
    return state


def test_what_a_runner_and_its_keeper_left_is_swept_at_the_next_start() -> None:
    code = "import rehearsal, signal\n"
    code += "estate = rehearsal.Estate(); estate.start(); print(estate.state, estate._keeper.pid, flush=True)\n"
    code += "signal.pause()\n"
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, cwd=probes.PROJECT, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        line, keeper = runner.stdout.readline().split()
        state = announced(line)
        footprint = probes.Footprint(state)
        os.kill(int(keeper), signal.SIGKILL)
        runner.kill()
        runner.wait(10)
    assert state.is_dir()
    assert state not in running()
    with Estate() as swept:
        footprint.networks -= probes.Footprint(swept.state).networks  # the kernel gives a free number away again
        assert probes.until(lambda: not footprint.left(), 5), footprint.left()


# exec


def test_exec_runs_a_command_in_the_hub_and_takes_its_exit_code() -> None:
    code = "import os, rehearsal, sys; rehearsal.assert_isolated()\n"
    code += "from pathlib import Path; state = Path(os.environ['RUNBOOK_REHEARSAL_STATE'])\n"
    code += "sys.exit(7 if state in rehearsal.running() else 1)\n"
    argv = probes.command("exec", "--", sys.executable, "-c", code)
    assert subprocess.run(argv, cwd=probes.PROJECT, check=False, timeout=60).returncode == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_exec_forwards_signals_once(number: signal.Signals) -> None:
    code = "import os, signal, sys, time; got = []\n"
    code += f"signal.signal({int(number)}, lambda *_: got.append(1))\n"
    code += "print(os.environ['RUNBOOK_REHEARSAL_STATE'], flush=True)\n"
    code += "while not got: time.sleep(0.02)\n"
    code += "time.sleep(0.3); sys.exit(10 + len(got))\n"
    argv = probes.command("exec", "--", sys.executable, "-c", code)
    with subprocess.Popen(argv, cwd=probes.PROJECT, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        state = announced(runner.stdout.readline())
        footprint = probes.Footprint(state)
        runner.send_signal(number)
        assert runner.wait(15) == 11
    assert footprint.left() == []
