"""Nothing is left of a rehearsal estate, however its runner ends."""

import os
import signal
import subprocess
import sys

import estate_probes as probes
import pytest

from rehearsal import Estate, running

pytestmark = pytest.mark.rehearsal


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
    with probes.started(argv) as runner:
        state = probes.announced(probes.first_line(runner))
        footprint = probes.Footprint(state)
        runner.send_signal(number)
        runner.wait(10)
    assert runner.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert probes.until(lambda: not footprint.left(), 5), footprint.left()


def test_what_a_runner_and_its_keeper_left_is_swept_at_the_next_start() -> None:
    code = "import rehearsal, signal\n"
    code += "estate = rehearsal.Estate(); estate.start(); print(estate.state, estate._keeper.pid, flush=True)\n"
    code += "signal.pause()\n"
    argv = [sys.executable, "-c", code]
    with probes.started(argv) as runner:
        line, keeper = probes.first_line(runner).split()
        state = probes.announced(line)
        footprint = probes.Footprint(state)
        os.kill(int(keeper), signal.SIGKILL)
        runner.kill()
        runner.wait(10)
    assert state.is_dir()
    assert state not in running()
    with Estate():
        assert probes.until(lambda: not footprint.left(), 5), footprint.left()


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
    with probes.started(argv) as runner:
        state = probes.announced(probes.first_line(runner))
        footprint = probes.Footprint(state)
        runner.send_signal(number)
        assert runner.wait(15) == 11
    assert footprint.left() == []


def test_what_a_command_left_running_ends_with_a_killed_runner() -> None:
    code = "import os, subprocess, sys\n"
    code += "left = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    code += "print(os.environ['RUNBOOK_REHEARSAL_STATE'], left.pid, flush=True); left.wait()\n"
    argv = probes.command("exec", "--", sys.executable, "-c", code)
    with probes.started(argv) as runner:
        line, left = probes.first_line(runner).split()
        footprint = probes.Footprint(probes.announced(line))
        assert int(left) in footprint.pids
        runner.kill()
        runner.wait(10)
        assert probes.until(lambda: not footprint.left(), 5), footprint.left()
