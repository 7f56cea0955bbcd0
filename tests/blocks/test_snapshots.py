"""The snapshot repository: the file before and after each run, in git, whatever their text and the run's name are."""

import subprocess
from pathlib import Path

import pytest

from blocks import snapshots
from deliverability.errors import CommandFailed
from deliverability.plan import EditFile

# ShellOperation leaves the pipes of its process to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def edit(before: str, after: str) -> EditFile:
    return EditFile(host="mta", path="/etc/postfix/main.cf", before=before, after=after)


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", repository, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_state_before_and_the_state_after_are_both_committed(tmp_path: Path) -> None:
    commit = snapshots.commit(tmp_path / "s", (edit("a = 1\n", "a = 2\n"),), "run 1")
    assert git(tmp_path / "s", "rev-parse", "--short", "HEAD") == commit
    assert git(tmp_path / "s", "log", "--format=%s").split("\n") == ["run 1", "before: run 1"]
    assert git(tmp_path / "s", "show", "HEAD:mta/etc/postfix/main.cf") == "a = 2"
    assert git(tmp_path / "s", "show", "HEAD~:mta/etc/postfix/main.cf") == "a = 1"


def test_a_second_run_continues_where_the_first_ended(tmp_path: Path) -> None:
    snapshots.commit(tmp_path, (edit("a = 1\n", "a = 2\n"),), "run 1")
    again = snapshots.commit(tmp_path, (edit("a = 1\n", "a = 2\n"),), "run 1")
    assert git(tmp_path, "show", f"{again}:mta/etc/postfix/main.cf") == "a = 2"
    snapshots.commit(tmp_path, (edit("a = 2\n", "a = 3\n"),), "run 2")
    assert git(tmp_path, "log", "-1", "--format=%s") == "run 2"


def test_a_message_is_text_and_never_shell(tmp_path: Path) -> None:
    message = '$(touch pwned) `touch pwned` "; touch pwned #'
    snapshots.commit(tmp_path, (edit("a\n", "b\n"),), message)
    assert git(tmp_path, "log", "-1", "--format=%s") == message
    assert not (tmp_path / "pwned").exists()


def test_a_git_that_fails_is_said(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(CommandFailed, match="the snapshots cannot be committed"):
        snapshots.commit(tmp_path, (edit("a\n", "b\n"),), "run 1")
