"""The SSH host against a real sshd: sizes, time-outs, exit codes, and files that are replaced whole or not at all."""

import time
from collections.abc import Iterator

import pytest

from blocks.ssh_session import OUTPUT_LIMIT, Writer
from deliverability.errors import CommandFailed, CommandTimedOut, Conflict, HostError, HostUnreachable, MalformedFile
from estates import Desk

pytestmark = pytest.mark.rehearsal

FILE = "/root/t/file"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("ssh"))


@pytest.fixture(scope="module")
def writer(desk: Desk) -> Iterator[Writer]:
    with desk.connected(desk.host().operate()) as writer:
        yield writer


@pytest.fixture(autouse=True)
def folder(desk: Desk) -> Iterator[None]:
    desk.shell("mkdir /root/t")
    yield
    desk.shell("umount /root/t 2>/dev/null || true; rm -rf /root/t")


def sh(writer: Writer, script: str, **options: object) -> tuple[int, str, str]:
    result = writer.run("sh", "-c", script, check=False, **options)  # type: ignore[arg-type]
    return result.exit_code, result.stdout, result.stderr


# commands


@pytest.mark.parametrize("size", [0, 1, 5_000_000, OUTPUT_LIMIT])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_up_to_the_limit_arrives_whole(writer: Writer, size: int, stream: str) -> None:
    code, out, err = sh(writer, f"head -c {size} /dev/zero | tr '\\0' x {'>&2' if stream == 'stderr' else ''}; exit 7")
    assert (code, len(out), len(err)) == (7, *((size, 0) if stream == "stdout" else (0, size)))


@pytest.mark.parametrize("redirect", ["", ">&2"])
def test_more_output_than_the_limit_is_refused(writer: Writer, redirect: str) -> None:
    with pytest.raises(CommandFailed, match=rf"printed more than {OUTPUT_LIMIT} bytes") as failure:
        sh(writer, f"head -c {OUTPUT_LIMIT + 1} /dev/zero | tr '\\0' x {redirect}")
    assert not isinstance(failure.value, HostUnreachable), "the connection is not to blame"
    assert sh(writer, "echo still here") == (0, "still here\n", "")


def test_input_and_output_do_not_wait_for_each_other(writer: Writer) -> None:
    text = "x" * 5_000_000
    assert writer.run("cat", stdin=text.encode()).stdout == text


def test_a_command_that_does_not_end_in_time(desk: Desk, writer: Writer) -> None:
    began = time.monotonic()
    with pytest.raises(CommandTimedOut, match=r"mta: sh -c 'echo a; sleep 4321' did not end within 0\.5 s"):
        writer.run("sh", "-c", "echo a; sleep 4321", timeout=0.5)
    assert time.monotonic() - began < 3
    assert sh(writer, "echo still here") == (0, "still here\n", "")


def test_exit_codes(writer: Writer) -> None:
    assert sh(writer, "exit 0")[0] == 0
    assert sh(writer, "exit 255")[0] == 255
    assert sh(writer, "kill -9 $$")[0] == -1
    assert writer.run("no-such-program", check=False).exit_code == 127
    with pytest.raises(CommandFailed, match="mta: sh -c 'echo why >&2; exit 3' ended with 3: why"):
        writer.run("sh", "-c", "echo why >&2; exit 3")


def test_words_stay_words(writer: Writer) -> None:
    words = ["a b", "$HOME", "`id`", "'", '"', "*", "", "-n", "ü", ";reboot", "a\nb"]
    assert writer.run("printf", "%s|", *words).stdout == "".join(f"{word}|" for word in words)


def test_messages_are_not_translated_and_sbin_is_on_the_path(writer: Writer) -> None:
    assert "LC_ALL=C\n" in writer.run("env").stdout
    assert writer.run("postconf", "-h", "mail_name").stdout == "Postfix\n"


def test_many_commands_at_once_keep_their_order(desk: Desk, writer: Writer) -> None:
    logins = desk.logins()
    results = writer.run_all(*(("sh", "-c", f"sleep 0.{9 - n % 10}; echo {n}; exit {n}") for n in range(24)))
    assert [(result.stdout, result.exit_code) for result in results] == [(f"{n}\n", n) for n in range(24)]
    assert desk.logins() == logins


def test_short_commands_do_not_break_the_connection(writer: Writer) -> None:
    for _ in range(40):
        assert {result.exit_code for result in writer.run_all(*[("true",)] * 24)} == {0}


def test_bytes_that_are_no_text_are_refused_with_their_line(desk: Desk, writer: Writer) -> None:
    desk.shell(f"printf 'a\\nb\\377\\n' > {FILE}")
    with pytest.raises(MalformedFile, match=rf"{FILE}:2: not UTF-8"):
        writer.run("cat", "--", FILE)


def test_a_connection_that_dies_is_said_to_have_died(desk: Desk) -> None:
    with desk.connected(desk.host().operate()) as writer:
        with pytest.raises(HostUnreachable, match="mta: connection lost in sh -c 'kill -9 "):
            writer.run("sh", "-c", "kill -9 $PPID; sleep 5")
        with pytest.raises(HostUnreachable, match="mta: the connection is gone"):
            writer.run("true")


# files


def put(desk: Desk, text: str, mode: str = "640", owner: str = "postfix:mail") -> None:
    desk.write(FILE, text)
    desk.shell(f"chmod {mode} {FILE}; chown {owner} {FILE}")


def facts(desk: Desk) -> tuple[str, str, list[str]]:
    return desk.read(FILE), desk.shell(f"stat -c '%a %U:%G' {FILE}").strip(), desk.shell("ls -A /root/t").split()


@pytest.mark.parametrize("mode", ["640", "600", "755", "444"])
def test_a_replaced_file_keeps_owner_and_mode(desk: Desk, writer: Writer, mode: str) -> None:
    put(desk, "old\n", mode)
    assert writer.replace_text(FILE, "old\n", "näw\n")
    assert facts(desk) == ("näw\n", f"{mode} postfix:mail", ["file"])


def test_replacing_again_writes_nothing(desk: Desk, writer: Writer) -> None:
    put(desk, "new\n")
    before = desk.shell(f"stat -c '%i %Z' {FILE}")
    assert not writer.replace_text(FILE, "old\n", "new\n")
    assert desk.shell(f"stat -c '%i %Z' {FILE}") == before


def test_a_file_that_says_neither_is_left_alone(desk: Desk, writer: Writer) -> None:
    put(desk, "other\n")
    with pytest.raises(Conflict, match=f"mta:{FILE} is not the file the plan was made for"):
        writer.replace_text(FILE, "old\n", "new\n")
    assert facts(desk) == ("other\n", "640 postfix:mail", ["file"])


def test_a_file_that_is_gone_is_not_made(desk: Desk, writer: Writer) -> None:
    with pytest.raises(CommandFailed, match="No such file"):
        writer.replace_text(FILE, "", "new\n")
    assert desk.shell("ls -A /root/t") == ""


def test_a_link_stays_a_link(desk: Desk, writer: Writer) -> None:
    put(desk, "old\n")
    desk.shell("mkdir /root/t/links && ln -s ../file /root/t/links/link")
    assert writer.replace_text("/root/t/links/link", "old\n", "new\n")
    assert desk.shell("readlink /root/t/links/link; ls -A /root/t/links").split() == ["../file", "link"]
    assert facts(desk) == ("new\n", "640 postfix:mail", ["file", "links"])


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(desk: Desk, writer: Writer) -> None:
    desk.shell("mount -t tmpfs -o size=64k tmpfs /root/t")
    put(desk, "old\n")
    with pytest.raises(HostError, match=f"mta: cannot write {FILE}: ") as failure:
        writer.replace_text(FILE, "old\n", "new\n" * 50_000)
    assert failure.value.next_step == f"df -h {FILE}"
    assert facts(desk) == ("old\n", "640 postfix:mail", ["file"])


def test_a_new_file_has_the_mode_that_was_asked_for(desk: Desk, writer: Writer) -> None:
    writer.write_text(FILE, "", mode=0o600)
    assert facts(desk) == ("", "600 root:root", ["file"])
    writer.write_text("/root/t/plain", "text\n")
    assert desk.shell("stat -c %a /root/t/plain") == "644\n"


def test_what_a_killed_writer_left_is_no_hindrance(desk: Desk, writer: Writer) -> None:
    put(desk, "old\n")
    desk.shell("echo half > /root/t/.file.runbook-new")
    assert writer.replace_text(FILE, "old\n", "new\n")
    assert facts(desk) == ("new\n", "640 postfix:mail", ["file"])
