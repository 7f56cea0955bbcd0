"""Command line: `python -m rehearsal rootfs | up | exec [--publish PORT] -- COMMAND... | on HOST COMMAND...`."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rehearsal import rootfs
from rehearsal.errors import RehearsalError, RehearsalUnavailable
from rehearsal.estate import Estate, check_machine
from rehearsal.process import HOST_ENVIRONMENT
from rehearsal.progress import stopwatch
from rehearsal.running import RunningEstate
from rehearsal.state import STATE_VARIABLE, running

ENDING = (signal.SIGTERM, signal.SIGHUP)
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    for number in ENDING:
        signal.signal(number, end)
    try:
        match options.command:
            case "rootfs":
                check_machine()
                print(rootfs.ensure(stopwatch()))
                return 0
            case "up":
                return up()
            case "on":
                return on(options.host, options.argv)
            case _:
                return execute(options.argv, options.publish)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except RehearsalUnavailable as error:
        print(f"rehearsal unavailable: {error}", file=sys.stderr)
        return 1
    except RehearsalError as error:
        print(f"rehearsal failed: {error}", file=sys.stderr)
        return 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal", description="The estate of the runbook, on this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("rootfs", help="build the hosts' root file system if it is not in the cache; print where it is")
    commands.add_parser("up", help="start the estate, print its state folder, stop it at Ctrl-C")
    visit = commands.add_parser("on", help="run a command as root on a host of the estate that runs, e.g. on mta bash")
    visit.add_argument("host")
    visit.add_argument("argv", nargs="+", metavar="COMMAND")
    run = commands.add_parser("exec", help="start the estate, run a command in its network, stop it")
    run.add_argument(
        "--publish",
        metavar="PORT",
        type=int,
        action="append",
        default=[],
        help="PORT of the command's loopback, on this machine's",
    )
    run.add_argument("argv", nargs="+", metavar="COMMAND")
    return parser.parse_args(arguments)


def end(number: int, _frame: FrameType | None) -> NoReturn:
    """A signal that ends us ends the estate too: as an exception, it passes through its __exit__."""
    raise SystemExit(128 + number)


def up() -> int:
    with Estate(stopwatch()) as estate:
        print(estate.state, flush=True)
        print("press Ctrl-C to stop", file=sys.stderr)
        while True:
            signal.pause()


def on(host: str, argv: Sequence[str]) -> int:
    """Run a command on a host of the oldest running estate, or of the one the environment names."""
    named = os.environ.get(STATE_VARIABLE)
    states = [Path(named)] if named else running()
    if not states:
        raise RehearsalError("no rehearsal estate is running", next_step="runbook rehearse --keep")
    pid = RunningEstate(states[0]).host(host).pid
    return subprocess.call(["nsenter", "--all", f"--target={pid}", "--", *argv], env=HOST_ENVIRONMENT, cwd="/")


def execute(argv: Sequence[str], ports: Sequence[int]) -> int:
    with Estate(stopwatch()) as estate:
        for port in ports:
            estate.publish(port)
        environment = os.environ | {STATE_VARIABLE: str(estate.state)}
        # a process group of its own: Ctrl-C at the terminal must reach the command once, not also through us
        command = estate.hub_popen(argv, env=environment, process_group=0)
        return wait(command)


def wait(command: "subprocess.Popen[bytes]") -> int:
    """Its exit code. Signals sent to us go to the command; how it answers decides what happens."""

    def forward(number: int, _frame: FrameType | None) -> None:
        command.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    terminal = take_terminal(command.pid)
    try:
        code = command.wait()
    finally:
        if terminal is not None:
            os.tcsetpgrp(terminal, os.getpgrp())
            os.close(terminal)
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def take_terminal(group: int) -> int | None:
    """Hand the terminal, if we have it, to the command's process group, as a shell does."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if os.tcgetpgrp(terminal) != os.getpgrp():
        os.close(terminal)
        return None
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # or taking it back would stop us
    os.tcsetpgrp(terminal, group)
    os.killpg(group, signal.SIGCONT)  # it may have asked for the terminal already, and been stopped for that
    return terminal


if __name__ == "__main__":
    sys.exit(main())
