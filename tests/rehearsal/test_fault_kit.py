"""Every fault of the kit does what it says, twice is fine, and its mend leaves the host as it was."""

import itertools
import re
import subprocess
from collections.abc import Callable

import estate_probes as probes
import pytest

from rehearsal import Estate, Host, HostFailed, RehearsalError, faults

pytestmark = pytest.mark.rehearsal

WELL, BROKEN = "well", "broken"
NAMESERVER = "207.174.124.22"
MTA = "207.174.124.71"
PICTURE = """
systemctl list-units --all --plain --no-legend | grep -v 'scope ' | awk '{print $1, $2, $3, $4}' | sort
mount
ss -Hltn | sort
ip -4 addr; ip route
sha256sum /etc/ssh/ssh_host_*
find /etc /root /usr/lib/postfix -printf '%p %m %u:%g %s %T@ %C@\\n'
"""
"""All that a mend has to bring back."""

numbers = itertools.count()


def shell(host: Host, script: str) -> tuple[int, str]:
    done = host.run(["sh", "-c", script])
    return done.returncode, done.stdout + done.stderr


def assert_again(host: Host, before: set[str]) -> None:
    def changes() -> list[str]:
        now = picture(host)
        return sorted({f"- {line}" for line in before - now} | {f"+ {line}" for line in now - before})

    assert probes.until(lambda: not changes()), changes()


def picture(host: Host) -> set[str]:
    return set(shell(host, PICTURE)[1].splitlines())


def judge(well: bool, broken: bool, seen: object) -> str:
    """What is neither, or both, is said as it was seen."""
    return WELL if well and not broken else BROKEN if broken and not well else str(seen)


def ssh(estate: Estate, *command: str) -> list[str]:
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", f"UserKnownHostsFile={estate.state}/known_hosts"]
    return ["ssh", *options, "-i", f"{estate.state}/keys/operator", f"root@{MTA}", *command]


# one look at each fault: well, broken, or what was seen


def lost(estate: Estate) -> float:
    """Per cent of 300 round trips."""
    said = shell(estate.host("mta"), f"ping -n -q -c300 -i0.002 -W1 {NAMESERVER}")[1]
    (percent,) = re.findall(r"([\d.]+)% packet loss", said)
    return float(percent)


def loss(estate: Estate) -> str:
    percent = lost(estate)
    return judge(percent == 0, 28 < percent < 44, percent)  # 20 % one way would be 20, both ways is 36


def delay(estate: Estate) -> str:
    _, said = shell(estate.host("mta"), f"ping -n -q -c1 -W2 {NAMESERVER}")
    trips = re.findall(r"= ([\d.]+)/", said)
    return judge(trips != [] and float(trips[0]) < 50, trips != [] and 300 <= float(trips[0]) < 400, said)


def cut(estate: Estate) -> str:
    code, said = shell(estate.host("mta"), f"ping -n -q -c1 -W1 {NAMESERVER}")
    return judge(code == 0, "100% packet loss" in said, said)


def sshd_gone(estate: Estate) -> str:
    code, said = shell(estate.host("mta"), "systemctl start ssh; pgrep -x sshd")
    login = estate.hub_run(ssh(estate, "true"))
    seen = (code, said, login.stderr)
    return judge((code, login.returncode) == (0, 0), code == 1 and "Connection refused" in login.stderr, seen)


def disk_full(estate: Estate) -> str:
    code, said = shell(estate.host("mta"), "printf x | dd of=/srv/one; code=$?; rm -f /srv/one; exit $code")
    return judge(code == 0, "No space left on device" in said, said)


def read_only(estate: Estate) -> str:
    code, said = shell(estate.host("mta"), "[ -w /etc ] || touch /etc/one")
    beside, _ = shell(estate.host("mta"), "touch /srv/one")
    return judge((code, beside) == (0, 0), "Read-only file system" in said and beside == 0, said)


def reload_fails(estate: Estate) -> str:
    code, said = shell(estate.host("mta"), "postfix reload")
    others = [shell(estate.host("mta"), f"postfix {other}")[0] for other in ("check", "status", "flush")]
    return judge((code, *others) == (0, 0, 0, 0), (code, *others) == (1, 0, 0, 0), (code, said, others))


def host_key(estate: Estate) -> str:
    login = estate.hub_run(ssh(estate, "true"))
    return judge(login.returncode == 0, "REMOTE HOST IDENTIFICATION HAS CHANGED" in login.stderr, login.stderr)


def cron_stopped(estate: Estate) -> str:
    code, said = shell(estate.host("mta"), "systemctl is-active cron; pgrep -x cron")
    return judge(code == 0 and said.startswith("active\n"), said == "inactive\n", said)


def timers_stopped(estate: Estate) -> str:
    """Those that waited, and a new one."""
    new = f"test-{next(numbers)}"
    script = f"""systemctl list-units --type=timer --state=active --no-legend --plain | cut -d' ' -f1
    systemd-run --quiet --on-active=1h --unit={new} true && systemctl show --property=SubState --value {new}.timer
    systemctl stop {new}.timer 2>/dev/null"""
    _, said = shell(estate.host("mta"), script)
    return judge(said == "systemd-tmpfiles-clean.timer\nwaiting\n", said == "dead\n", said)


LOOKS: dict[str, Callable[[Estate], str]] = {
    "cut": cut,
    "loss": loss,
    "delay": delay,
    "sshd-gone": sshd_gone,
    "disk-full": disk_full,
    "read-only": read_only,
    "reload-fails": reload_fails,
    "host-key": host_key,
    "cron-stopped": cron_stopped,
    "timers-stopped": timers_stopped,
}
"""Of the faults that last until they are mended."""


def assert_becomes(estate: Estate, name: str, expected: str) -> None:
    seen: list[str] = []
    assert probes.until(lambda: seen.append(LOOKS[name](estate)) or seen[-1] == expected), seen[-1]


def test_every_fault_is_looked_at() -> None:
    assert LOOKS.keys() | {"sshd-killed", "reboot"} == faults.FAULTS.keys()


@pytest.mark.parametrize("name", LOOKS)
def test_a_fault_lasts_until_it_is_mended(estate: Estate, name: str) -> None:
    mta, fault = estate.host("mta"), faults.find(name)
    assert_becomes(estate, name, WELL)
    before = picture(mta)
    with fault.on(estate, "mta"):
        assert_becomes(estate, name, BROKEN)
        fault.inject(estate, "mta")
        assert LOOKS[name](estate) == BROKEN
    assert_becomes(estate, name, WELL)
    fault.mend(estate, "mta")
    assert_again(mta, before)


@pytest.mark.parametrize("name", ["sshd-killed", "sshd-gone"])
def test_killing_sshd_ends_the_sessions(estate: Estate, name: str) -> None:
    mta = estate.host("mta")
    before = picture(mta)
    session = estate.hub_popen(ssh(estate, "echo in; sleep 600"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with session:
        assert session.stdout.readline() == b"in\n"
        _, old = shell(mta, "pgrep -x sshd")
        with faults.find(name).on(estate, "mta"):
            faults.find(name).inject(estate, "mta")
            assert session.wait(10) == 255
            assert not set(old.split()) & set(shell(mta, "pgrep -x sshd")[1].split())
    assert estate.hub_run(ssh(estate, "true")).returncode == 0
    assert_again(mta, before)
    shell(mta, "pkill -x sleep")


def test_a_killed_sshd_comes_back_by_itself(estate: Estate) -> None:
    faults.find("sshd-killed").inject(estate, "mta")
    assert probes.until(lambda: estate.hub_run(ssh(estate, "true")).returncode == 0)


def test_a_full_disk_has_not_room_for_one_byte_and_is_one_hosts_alone(estate: Estate) -> None:
    with faults.find("disk-full").on(estate, "mta"):
        assert shell(estate.host("mta"), "df --output=avail / | tail -n1")[1].strip() == "0"
        assert shell(estate.host("ns"), "echo more >/root/more")[0] == 0


def test_mail_flows_while_reload_fails(estate: Estate) -> None:
    with faults.find("reload-fails").on(estate, "mta"):
        assert reload_fails(estate) == BROKEN
        probes.inject(estate.host("mta"), 25, "meanwhile@contoso.com")
        assert probes.until(estate.receiver("microsoft").messages)


def test_a_host_that_cannot_have_a_fault_says_so(estate: Estate) -> None:
    with pytest.raises(HostFailed, match=r"inject cron-stopped failed on ns: .*systemd"):
        faults.find("cron-stopped").inject(estate, "ns")


def test_a_reboot_mends_all_but_a_full_disk(estate: Estate) -> None:
    inside = [name for name in LOOKS if name not in ("cut", "loss", "delay", "disk-full")]
    before = estate.host("mta").pid
    for name in inside:
        faults.find(name).inject(estate, "mta")
    faults.find("reboot").inject(estate, "mta")
    faults.find("reboot").mend(estate, "mta")
    assert estate.host("mta").pid != before
    for name in inside:
        assert_becomes(estate, name, WELL)


def test_a_reset_mends_everything(estate: Estate) -> None:
    for name in LOOKS:
        faults.find(name).inject(estate, "mta")
    estate.reset()
    for name in LOOKS:
        assert_becomes(estate, name, WELL)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("sshd", "sshd-gone, sshd-killed"),
        ("disc-full", "disk-full"),
        ("reload", "reload-fails"),
        ("xyzzy", "cut, loss"),
    ],
)
def test_an_unknown_name_is_answered_with_those_near_it(name: str, near: str) -> None:
    with pytest.raises(RehearsalError, match=f"there is no fault '{name}'; near it: {near}"):
        faults.find(name)
