"""`runbook rehearse --fault`: a run that goes wrong, and in which state that left the host."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from estate_probes import PROJECT

from deployments.fault_rehearsal import Look, verdict
from rehearsal import faults

OLD = Look(2, "bdb1422784c194ca", "")


def rehearse(var: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli", "rehearse", *options],
        cwd=PROJECT,
        env=os.environ | {"RUNBOOK_VAR": str(var)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.mark.rehearsal
def test_a_killed_run_leaves_the_host_in_the_old_state(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "--fault", "kill", "--at", "12")
    assert done.returncode == 137, done.stderr
    assert "mta is in the old state: the plan has the digest it had before the run, " in done.stdout
    assert done.stdout.endswith("; guard: undone\n")
    assert re.search("after journal line 1[2-9]: kill: the run itself is killed", done.stderr)


def test_an_unknown_fault_starts_nothing_and_lists_those_there_are(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "--fault", "sshd")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no fault 'sshd'; near it: sshd-gone, sshd-killed" in done.stderr
    assert "next: runbook rehearse --fault help" in done.stderr
    assert rehearse(tmp_path, "--fault", "help").stdout in done.stderr


def test_help_lists_every_fault_with_its_summary(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "--fault", "help")
    assert done.returncode == 0
    listed = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert listed.keys() == {*faults.FAULTS, "kill"}
    assert listed["cut"] == "the cable is cut"


def test_a_fault_is_not_for_a_rehearsal_that_is_kept(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "--keep", "--fault", "cut")
    assert done.returncode == 64
    assert "--keep and --fault exclude each other" in done.stderr


@pytest.mark.parametrize(
    ("after", "words", "half_changed"),
    [
        (OLD, "in the old state", False),
        (Look(0, "2f", ""), "in the new state", False),
        (Look(2, "31f0", ""), "half-changed: the plan's digest is 31f0, before the run bdb1422784c1", True),
        (Look(1, "", "mta: no answer"), "half-changed: no plan can be made of it: mta: no answer", True),
    ],
    ids=["old", "new", "other", "error"],
)
def test_the_state_is_known_by_the_plan(after: Look, words: str, half_changed: bool) -> None:
    said, half = verdict(OLD, after)
    assert said.startswith(words)
    assert half == half_changed
