"""Delay, cut cables, reboots and broken hosts."""

import subprocess
import time

import estate_probes as probes
import pytest

from rehearsal import Estate, HostFailed, RehearsalError, RunningEstate, hosts, running

pytestmark = pytest.mark.rehearsal


def test_delay_and_cut(estate: Estate) -> None:
    def seconds_to_connect() -> float | None:
        code = "import socket, time\nbegan = time.monotonic()\n"
        code += "socket.create_connection(('207.174.124.71', 25), 2).recv(9)\nprint(time.monotonic() - began)\n"
        done = probes.python_in_hub(estate, code)
        return float(done.stdout) if done.returncode == 0 else None

    def direct() -> bool:
        return (seconds_to_connect() or 9) < 0.19

    assert probes.until(direct)
    estate.delay("mta", 100)
    try:
        assert probes.until(lambda: (seconds_to_connect() or 0) >= 0.2), "two round trips of 100 ms"
    finally:
        estate.undelay("mta")
    assert probes.until(direct)
    estate.cut("mta")
    try:
        assert seconds_to_connect() is None
    finally:
        estate.mend("mta")
    assert probes.until(direct)


def test_a_long_transfer_survives_the_delay_line(estate: Estate) -> None:
    options = ["-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={estate.state}/known_hosts"]
    ssh = ["ssh", *options, "-i", f"{estate.state}/keys/operator", "root@207.174.124.71"]
    estate.delay("mta", 20)
    try:
        assert len(estate.hub_run([*ssh, "head -c 300000 /dev/zero | base64 -w0"]).stdout) == 400000
    finally:
        estate.undelay("mta")


def test_one_line_in_the_cable_takes_the_place_of_another(estate: Estate) -> None:
    estate.delay("mta", 300)
    estate.lose("mta", 100)
    try:
        assert estate.host("mta").run(["ping", "-c1", "-W1", "207.174.124.22"]).returncode == 1
        estate.delay("mta", 0)
        assert estate.host("mta").run(["ping", "-c1", "-W1", "207.174.124.22"]).returncode == 0
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
        assert lasts == (probes.KEPT | probes.DORMANT) - {90}
        assert RunningEstate(estate.state).host("mta").pid == mta.pid
    finally:
        estate.reset()
    assert mta.run(["ls", "/root/kept"]).returncode == 2
    assert len(probes.addresses(mta)) == 22
    probes.inject(mta, 25, "again@contoso.com")
    assert probes.until(estate.receiver("microsoft").messages)[0]["peer"] == "207.174.124.94"


def test_only_the_runner_of_the_estate_can_reboot_a_host(estate: Estate) -> None:
    with pytest.raises(RehearsalError, match="only the process that started the estate can restart mta"):
        RunningEstate(estate.state).host("mta").restart()


def test_every_host_has_a_disk_of_its_own(estate: Estate) -> None:
    assert estate.host("mta").run(["sh", "-c", "head -c 200M /dev/zero >/root/big"]).returncode != 0
    try:
        assert estate.host("mta").run(["sh", "-c", "echo more >/root/more"]).returncode != 0
        assert estate.host("ns").run(["sh", "-c", "echo more >/root/more"]).returncode == 0
    finally:
        estate.host("mta").run(["rm", "-f", "/root/big", "/root/more"])


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
    broken_one = Estate()
    with pytest.raises(HostFailed, match=r"(?s)host ns died while starting.*the disk is on fire"), broken_one:
        pass
    assert broken_one.state not in running()
    assert not broken_one.state.exists()
