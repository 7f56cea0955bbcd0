"""Whatever is wrong: one clear message with the fact, the place and the next step, the right exit code, no change."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from estate_probes import PROJECT

from estates import CLI, INTERFACES, MAIN_CF, MASTER_CF, PROCEDURE, Desk
from rehearsal import STATE_VARIABLE
from rehearsal.hosts import Done

pytestmark = pytest.mark.rehearsal

MTA = "mta (207.174.124.71:22)"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """For whatever leaves the host alone."""
    return Desk(tmp_path_factory.mktemp("bad"))


def assert_refused(done: Done, code: int, *parts: str) -> None:
    """One message: the fact, then `next:`; nothing else, and nothing on stdout."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    fact, _, following = done.stderr.partition("\n  next: ")
    assert following.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "\n" not in fact.replace("\n  - ", ""), "one fact, with its reasons"
    for part in parts:
        assert part in done.stderr


# the estate file


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "[gards]\nminutes = 3",
            ["toml: 1 problem(s)\n  - gards: unknown key; did you mean 'guard'?", "runbook schema"],
        ),
        ("[mta]\nmastercf = '/x'", ["mta.mastercf: unknown key; did you mean 'master_cf'?"]),
        ("[hosts.mta]\nadress = '1.2.3.4'", ["hosts.mta.adress: unknown key; did you mean 'address'?"]),
        ("[hosts.mta]\nport = 'ssh'", ["hosts.mta.port: ", "(is 'ssh')"]),
        (
            "[streams.trucking]\nip = '207.174.124.200'",
            ["streams.trucking.ip 207.174.124.200 is in neither mta.pool nor mta.infrastructure"],
        ),
        ("[guard]\nminutes = 0", ["guard.minutes: ", "(is 0)"]),
        ("[mta", ["test.toml is not TOML: ", "correct that line"]),
    ],
    ids=["table", "key", "host key", "type", "address outside the pool", "range", "no toml"],
)
def test_a_bad_estate_file(shared: Desk, text: str, parts: list[str]) -> None:
    shared.write_estate(text)
    assert_refused(shared.run("plan"), 1, *parts)


def test_an_estate_that_does_not_exist(shared: Desk) -> None:
    done = shared.run("plan", estate_file="rehersal")
    assert_refused(done, 1, "no estate file ", "rehersal.toml", "name one of: performancewest, rehearsal")


def test_a_run_of_a_bad_estate_does_not_begin(shared: Desk) -> None:
    shared.write_estate("[gards]\nminutes = 3")
    assert_refused(shared.run("run", "--unattended"), 1, "gards: unknown key; did you mean 'guard'?")


# the way to the host


@pytest.fixture
def other_keys(tmp_path: Path) -> Path:
    """A folder with a key pair that the host does not know, and known_hosts files that do not know the host."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    public = (tmp_path / "key.pub").read_text()
    (tmp_path / "changed").write_text(f"207.174.124.71 {public}")
    (tmp_path / "unknown").write_text(f"192.0.2.1 {public}")
    (tmp_path / "garbage").write_text("nothing of the kind\n")
    return tmp_path


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ('host_key = "file:{}/changed"', [f"{MTA}: the host shows the key AAAA", "correct hosts.mta.host_key"]),
        ('host_key = "file:{}/unknown"', [f"{MTA}: no pinned host key in file:", "ssh-keyscan -p 22 207.174.124.71"]),
        ('host_key = "file:{}/missing"', [f"{MTA}: cannot read the pinned keys in ", "set hosts.mta.host_key"]),
        ('host_key = "file:{}/garbage"', [f"{MTA}: cannot read the pinned keys in ", "'nothing of the kind'"]),
        ('host_key = "ssh-ed25519 garbage"', ["hosts.mta.host_key is no public key: 'ssh-ed25519 garbage'"]),
        ('host_key = "garbage"', ["hosts.mta.host_key is no public key: 'garbage'", "ssh-keyscan"]),
        ('key = "file:{}/key"', [f"{MTA}: root is not let in with ", "ssh -i "]),
        ('key = "file:{}/missing"', ["mta: no private key at ", "set hosts.mta.key"]),
        ('key = "file:{}/garbage"', [f"{MTA}: ", "/garbage cannot be used as the private key", "set hosts.mta.key"]),
        ('key = "file:$NO_SUCH_NAME/key"', ["file:$NO_SUCH_NAME/key: the environment variable in it is not set"]),
        ("port = 23", ["mta (207.174.124.71:23): ", "refused", "runbook doctor"]),
        ('address = "203.0.113.99"', ["mta (203.0.113.99:22): ", "runbook doctor"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_key_or_place(shared: Desk, other_keys: Path, setting: str, parts: list[str]) -> None:
    before = shared.everything()
    shared.write_estate(f"[hosts.mta]\n{setting.format(other_keys)}")
    assert_refused(shared.run("plan"), 1, *parts)
    assert shared.everything() == before


# the host


def broken_line(desk: Desk) -> None:
    desk.edit(MASTER_CF, "anvil     unix  -       -       y       -       1       anvil", "anvil     unix  -  -")


def crlf(desk: Desk) -> None:
    desk.edit(MASTER_CF, "# rehab05 never needed, out05 is clean\n", "# rehab05 never needed\r\n")


def not_utf8(desk: Desk) -> None:
    desk.shell(f"printf '# caf\\351\\n' >> {MASTER_CF}")


def option_before_iface(desk: Desk) -> None:
    desk.write(INTERFACES, "address 192.0.2.1/24\n" + desk.read(INTERFACES))


HOST_FAULTS: dict[str, tuple[Callable[[Desk], object], int, list[str]]] = {
    "a bad field count": (broken_line, 1, [f"{MASTER_CF}:77: 4 fields in a service entry, 8 needed", "line 77"]),
    "a carriage return": (crlf, 1, [f"{MASTER_CF}:2", "a carriage return", "plan again"]),
    "a byte that is no text": (not_utf8, 1, [f"{MASTER_CF}:", "not UTF-8"]),
    "a main.cf that is none": (
        lambda desk: desk.write(MAIN_CF, "what is this\n"),
        1,
        ["mta: postqueue -j: ", f"{MAIN_CF}, line 1: missing '='", "until this works there: postqueue -j"],
    ),
    "an option before any iface": (
        option_before_iface,
        1,
        [f"{INTERFACES}:1: misplaced option 'address'", "correct line 1"],
    ),
    "no Postfix": (
        lambda desk: desk.shell("mv /etc/postfix/master.cf /root/"),
        1,
        [f"mta: cannot read {MASTER_CF}: ", "No such file", "is Postfix installed there"],
    ),
    "no interfaces file": (lambda desk: desk.shell(f"rm {INTERFACES}"), 1, ["mta: ", INTERFACES]),
    "a stream without its address": (
        lambda desk: desk.shell("ip addr del 207.174.124.94/24 dev eth0"),
        3,
        ["stream trucking: its address 207.174.124.94 is not bound on mta; bind it first", "runbook plan"],
    ),
    "a stranger's address": (
        lambda desk: desk.shell("ip addr add 10.1.2.3/24 dev eth0"),
        3,
        ["10.1.2.3 is bound on eth0 and belongs to no stream, infrastructure or pool", "runbook plan"],
    ),
    "no sshd": (
        lambda desk: desk.shell("systemctl stop ssh.socket ssh.service"),
        1,
        [f"{MTA}: ", "refused", "runbook doctor"],
    ),
}


@pytest.mark.parametrize("fault", [*HOST_FAULTS])
def test_a_host_that_is_not_fit(desk: Desk, fault: str) -> None:
    spoil, code, parts = HOST_FAULTS[fault]
    spoil(desk)
    before = desk.shell("find /etc /root -printf '%p %m %u:%g %s %T@ %C@\\n' | sort; ip -4 addr; ip route")
    assert_refused(desk.run("plan"), code, *parts)
    assert desk.shell("find /etc /root -printf '%p %m %u:%g %s %T@ %C@\\n' | sort; ip -4 addr; ip route") == before


def test_a_run_says_the_same_and_leaves_a_report(desk: Desk) -> None:
    desk.shell("ip addr del 207.174.124.94/24 dev eth0")
    before = desk.everything()
    done = desk.run("run", "--unattended")
    assert done.returncode == 3
    assert "stream trucking: its address 207.174.124.94 is not bound on mta; bind it first" in done.stdout
    record, markdown = desk.report()
    assert (record["status"], record["exit_code"], record["plan"]) == ("refused", 3, None)
    assert "No plan was made." in markdown
    assert desk.everything() == before


# the network


@pytest.fixture
def mended(desk: Desk) -> Iterator[Desk]:
    yield desk
    for name in ("mta", "resolver"):
        desk.estate.mend(name)


def test_a_cut_cable(mended: Desk) -> None:
    mended.estate.cut("mta")
    assert_refused(mended.run("plan"), 1, f"{MTA}: ", "runbook doctor")


def test_resolvers_that_do_not_answer(mended: Desk) -> None:
    before = mended.everything()
    mended.estate.cut("resolver")
    assert_refused(mended.run("plan"), 1, "resolver ", "no answer for ", " TXT: ", "runbook doctor")
    assert mended.everything() == before


# where it may not be


def test_nobody_decides_outside_a_rehearsal(shared: Desk) -> None:
    logins = shared.logins()
    done = shared.run("run", "--unattended", estate_file="performancewest")
    assert_refused(done, 3, "estate performancewest accepts no unattended decision", "without --unattended")
    assert shared.logins() == logins


def test_a_rehearsal_is_not_planned_where_a_way_out_may_be(shared: Desk) -> None:
    """The file of a rehearsal, opened in the machine's own network."""
    code = "from flows.opening import open_estate; open_estate('rehearsal')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert "NotIsolated" in done.stderr
    assert "this network has no rehearsal0 bridge" in done.stderr


def test_a_rehearsal_that_does_not_run(shared: Desk) -> None:
    environment = {name: value for name, value in os.environ.items() if name != STATE_VARIABLE}
    command = [*CLI, "plan", PROCEDURE, "--estate", "rehearsal"]
    hide = ["unshare", "--mount", "--", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh"]
    done = subprocess.run(
        [*hide, *command], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert_refused(done, 1, "no rehearsal estate is kept running", "runbook rehearse --keep")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["plan", "snow-cleanup"], ["no procedure 'snow-cleanup'", "name one of: ", "snowshoe-cleanup"]),
        (["reports", "20990101"], ["0 reports of a run '20990101'", "runbook reports"]),
    ],
)
def test_a_name_that_is_none(shared: Desk, arguments: list[str], parts: list[str]) -> None:
    done = shared.estate.hub_run([*CLI, *arguments], timeout=60, env=shared.environment, cwd=PROJECT)
    assert_refused(done, 1, *parts)


def test_wrong_usage_is_64_and_not_changes_pending(shared: Desk) -> None:
    done = shared.estate.hub_run([*CLI, "plan"], timeout=60, env=shared.environment, cwd=PROJECT)
    assert (done.returncode, done.stdout) == (64, "")
    assert "Missing argument" in done.stderr


def test_the_doctor_finds_nothing_wrong_and_then_what_is_wrong(desk: Desk) -> None:
    before = desk.everything()
    healthy = desk.run("doctor")
    assert healthy.returncode == 0, healthy.stdout
    assert desk.everything() == before
    desk.shell(f"systemctl stop postfix@-; rm {INTERFACES}")
    ill = desk.run("doctor")
    assert ill.returncode == 6
    found = [line.split(":")[0].split(maxsplit=1) for line in ill.stdout.splitlines() if line.startswith("fail")]
    assert found == [["fail", "Postfix on mta"], ["fail", "files of mta"]], ill.stdout
