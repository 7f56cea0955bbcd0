"""What an SSH block refuses before anything is sent: writes while observing, and a host without a pinned key."""

import subprocess
import sys
from pathlib import Path

import paramiko
import pytest

from blocks import listmonk_sql, ssh_session
from blocks.ssh_host import SshHost, resolve_file
from blocks.ssh_session import Reader
from deliverability.errors import HostError, HostKeyMismatch, HostUnreachable, ReadOnlyViolation

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0u0k2c0sT2pUaP0Yx0b8o6m4f3n2k1j0h9g8f7e6d5"
WRITES = [
    ("rm", "-f", "/etc/hosts"),
    ("ip", "addr", "del", "192.0.2.1/24", "dev", "eth0"),
    ("ip", "-j", "addr", "flush", "dev", "eth0"),
    ("ip", "-j", "addr", "show", "dev", "eth0"),
    ("postconf", "-M", "a/unix=a unix - - - - - smtp"),
    ("postconf", "-e", "x=y"),
    ("postconf",),
    ("postfix", "reload"),
    ("postqueue", "-f"),
    ("postqueue", "-j", "-f"),
    ("ss", "-Hltn", "-K"),
    ("sh", "-c", "cat -- /etc/hosts"),
    ("cat", "/etc/hosts"),
    ("systemctl", "restart", "postfix"),
    ("stat", "-c", "%n", "/etc/hosts"),
    ("env", "cat", "--", "/etc/hosts"),
    ("openssl", "pkey", "-pubout", "-in", "/etc/x.private", "-out", "/etc/x"),
    ("openssl", "pkey", "-pubout", "-in"),
    (*listmonk_sql.PSQL, "-c", "DROP TABLE settings", "-d", "listmonk"),
    (*listmonk_sql.LOOKING, "listmonk", "-c", "DROP TABLE settings"),
    (),
]


def host(tmp_path: Path, host_key: str = KEY) -> SshHost:
    # Nothing listens on port 9 of the loopback; the refusals here come before that would matter.
    return SshHost(name="mta", address="127.0.0.1", port=9, key=f"file:{tmp_path}/id", host_key=host_key)


def reader(tmp_path: Path) -> Reader:
    return Reader("mta", paramiko.SSHClient())


@pytest.mark.parametrize("argv", WRITES, ids=lambda argv: " ".join(argv)[:60])
def test_observing_refuses_whatever_is_not_known_to_read(tmp_path: Path, argv: tuple[str, ...]) -> None:
    with pytest.raises(ReadOnlyViolation, match="observing mta may not run: "):
        reader(tmp_path).run(*argv)
    with pytest.raises(ReadOnlyViolation):
        reader(tmp_path).run_all(argv)


@pytest.mark.parametrize(
    "argv",
    [*ssh_session.LOOKS, *((*words, "x") for words in (*ssh_session.READS, *ssh_session.NAMED))],
    ids=lambda argv: " ".join(argv)[:60],
)
def test_what_only_reads_goes_on_to_the_connection(tmp_path: Path, argv: tuple[str, ...]) -> None:
    with pytest.raises(HostUnreachable, match="the connection is gone"):
        reader(tmp_path).run(*argv)


def test_an_observer_has_no_way_to_write() -> None:
    assert {name for name in dir(Reader) if not name.startswith("_")} == {
        *("run", "run_all", "http_get", "local_address")
    }


def test_without_a_pinned_key_nothing_is_sent(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("no key is read before the host's own is pinned")
    for unpinned, said in ((f"file:{tmp_path}/known_hosts", "cannot read the pinned keys"), ("", "is no public key")):
        with pytest.raises(HostKeyMismatch, match=said), host(tmp_path, unpinned).observe():
            pass


def test_a_missing_private_key_says_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text("")
    with (
        pytest.raises(HostError, match="no private key at") as caught,
        host(tmp_path, f"file:{tmp_path}/known_hosts").observe(),
    ):
        pass
    assert caught.value.next_step == "put it there, or set hosts.mta.key"


def test_file_references_expand_what_is_set_and_refuse_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_REHEARSAL_STATE", "/run/x")
    assert resolve_file("file:$RUNBOOK_REHEARSAL_STATE/keys/operator") == Path("/run/x/keys/operator")
    assert resolve_file("file:~/.ssh/id_ed25519") == Path.home() / ".ssh" / "id_ed25519"
    monkeypatch.delenv("RUNBOOK_REHEARSAL_STATE")
    with pytest.raises(HostError, match="is not set") as caught:
        resolve_file("file:$RUNBOOK_REHEARSAL_STATE/keys/operator")
    assert caught.value.next_step.startswith("runbook rehearse --keep")


RESET = """
import socket, struct, sys, threading
from blocks.ssh_host import SshHost
from deliverability.errors import HostUnreachable

def serve(server):
    connected, _ = server.accept()
    connected.recv(64)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()  # a reset, as from a host that is starting again

with socket.create_server(("127.0.0.1", 0)) as server:
    threading.Thread(target=serve, args=(server,)).start()
    port, folder = server.getsockname()[1], sys.argv[1]
    mta = SshHost(name="mta", address="127.0.0.1", port=port, key=f"file:{folder}/id", host_key=sys.argv[2])
    try:
        with mta.observe():
            pass
    except HostUnreachable as error:
        print(error.fact)
"""


def test_a_reset_before_the_banner_is_one_error_and_no_traceback(tmp_path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")]
    subprocess.run(command, check=True)
    public = " ".join((tmp_path / "id.pub").read_text().split()[:2])
    done = subprocess.run(
        [sys.executable, "-c", RESET, str(tmp_path), public], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("mta (127.0.0.1:")
    assert done.stderr == ""
