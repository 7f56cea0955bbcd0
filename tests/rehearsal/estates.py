"""An operator's desk in a rehearsal estate: the commands typed there, and what one may look at on the host afterwards.

One estate, with a Prefect server in its hub, serves all tests of a session; the mta is as new at every desk.
"""

import atexit
import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from estate_probes import PROJECT, inject, until
from warm_cli import Started, WarmCli

from blocks.ssh_host import SshHost
from blocks.ssh_session import Reader
from rehearsal import STATE_VARIABLE, Estate, assert_isolated
from rehearsal.hosts import Done
from rehearsal.isolation import join_network

Answer = TypeVar("Answer")
Handle = TypeVar("Handle", bound=Reader)

PROCEDURE = "snowshoe-cleanup"
PATIENCE = 60.0
"""Seconds for whatever a test waits for; all but the guard's deadline come far sooner."""

MASTER_CF = "/etc/postfix/master.cf"
MAIN_CF = "/etc/postfix/main.cf"
INTERFACES = "/etc/network/interfaces"
REHAB_CRON = "/etc/cron.d/pw-ip-rehab"
FILES = (MASTER_CF, MAIN_CF, INTERFACES, REHAB_CRON)
GUARDS = "/var/lib/deliverability-runbook"
CTRL_C, CTRL_D = "\x03", "\x04"


CLI = (sys.executable, "-m", "cli")


@cache
def estate() -> Estate:
    """The session's estate."""
    made = started()
    atexit.register(made.stop)
    return made


def started() -> Estate:
    """An estate with server and worker up in it, for the caller to stop."""
    made = Estate()
    made.start()
    bring_up(made)
    return made


def bring_up(made: Estate) -> None:
    """Server and worker, as far as they do not run."""
    environment = os.environ | {STATE_VARIABLE: str(made.state)}
    up = made.hub_run([*CLI, "up", "--estate", "rehearsal"], timeout=PATIENCE * 2, env=environment, cwd=PROJECT)
    assert up.returncode == 0, up.stderr


@cache
def warm_cli(of: Estate) -> WarmCli:
    return WarmCli(of)


class Desk:
    """Commands run in the estate's hub, with a `var` of their own."""

    def __init__(self, var: Path, own: Estate | None = None) -> None:
        self.estate = own or estate()
        self.estate.reset()
        self.mta = self.estate.host("mta")
        self.var = var
        self.file = "rehearsal"
        self.procedure = PROCEDURE

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {STATE_VARIABLE: str(self.estate.state), "RUNBOOK_VAR": str(self.var)}

    def write_estate(self, text: str) -> None:
        """Use an estate file that is the rehearsal's but for this text."""
        file = self.var / "test.toml"
        file.write_text(f'extends = "{PROJECT}/estates/rehearsal.toml"\n{text}\n')
        self.file = str(file)

    def run(self, command: str, *options: str, estate_file: str = "") -> Done:
        """Type a command and wait for its end; there is no terminal."""
        arguments = self._arguments(command, options, estate_file)
        return warm_cli(self.estate).run(arguments, self.environment, timeout=PATIENCE * 2)

    def start(self, command: str, *options: str) -> Started:
        """Type a command and do not wait."""
        return warm_cli(self.estate).start(self._arguments(command, options, ""), self.environment)

    def at_terminal(self, command: str, *options: str) -> "Terminal":
        return Terminal(self.estate, self._arguments(command, options, ""), self.environment)

    def _arguments(self, command: str, options: Sequence[str], estate_file: str) -> list[str]:
        procedure = [self.procedure] if command in ("plan", "run") else []
        return [*command.split(), *procedure, "--estate", estate_file or self.file, *options]

    def reports(self, procedure: str = "") -> list[dict[str, Any]]:
        """The JSON twins of all reports, oldest first."""
        twins = sorted((self.var / "reports" / (procedure or self.procedure)).glob("*.json"))
        return [json.loads(twin.read_text()) for twin in twins]

    def report(self) -> tuple[dict[str, Any], str]:
        """The one report there is: its JSON twin and its Markdown."""
        (twin,) = (self.var / "reports" / self.procedure).glob("*.json")
        return json.loads(twin.read_text()), twin.with_suffix(".md").read_text()

    def in_hub(self, call: Callable[[], Answer]) -> Answer:
        """Call our own code in the estate's network, in a thread: only the thread moves there."""
        return in_network_of(json.loads((self.estate.state / "estate.json").read_text())["hub"], call)

    def host(self) -> SshHost:
        """The mta as our own code knows it. Connect with `connected`, or inside `in_hub`: nowhere else is it ours."""
        state = self.estate.state
        key, pinned = f"file:{state}/keys/operator", f"file:{state}/known_hosts"
        return SshHost(name="mta", address="207.174.124.71", key=key, host_key=pinned)

    @contextmanager
    def connected(self, to: AbstractContextManager[Handle]) -> Iterator[Handle]:
        """Enter `host().observe()` or `host().operate()` in the estate's network."""
        handle = self.in_hub(to.__enter__)
        try:
            yield handle
        finally:
            to.__exit__(None, None, None)

    # what is on the host

    def read(self, path: str) -> str:
        done = self.mta.run(["cat", path])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """As an editor does it, without a new owner or mode."""
        assert self.mta.run(["tee", path], input=text).returncode == 0

    def edit(self, path: str, old: str, new: str) -> None:
        text = self.read(path)
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        self.write(path, text.replace(old, new))

    def shell(self, command: str) -> str:
        done = self.mta.run(["sh", "-ec", command])
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def everything(self) -> dict[str, str]:
        """All that must be the same when nothing was changed, to the time stamps of every file in /etc and /root."""
        return {
            "folders": self.shell(f"find /etc /root {GUARDS} -printf '%p %m %u:%g %s %T@ %C@\\n' 2>/dev/null | sort"),
            "addresses": self.shell("ip -j -4 addr"),
            **self.substance(),
        }

    def substance(self) -> dict[str, str]:
        """What must be the same again after an undo: content, owner, mode and age of the files, addresses, routes."""
        return {
            "files": self.shell(f"sha256sum {' '.join(FILES)}; stat -c '%n %a %U:%G %Y' {' '.join(FILES)}"),
            "live": "\n".join(sorted(self._addresses())),
            "routes": self.shell("ip route | sort"),
            "ports": "\n".join(sorted(self.ports())),
            "units": self.shell("systemctl list-units --all --no-legend --plain 'deliverability-guard*'"),
        }

    def _addresses(self) -> list[str]:
        links = json.loads(self.shell("ip -j -4 addr"))
        return [json.dumps(address, sort_keys=True) for link in links for address in link["addr_info"]]

    def live(self) -> set[str]:
        return {json.loads(address)["local"] for address in self._addresses()} - {"127.0.0.1"}

    def ports(self) -> set[str]:
        """ADDRESS:PORT of every listening TCP socket."""
        return {line.split()[3] for line in self.shell("ss -Hltn").splitlines()}

    def logins(self) -> int:
        """SSH connections so far. The log is read up to a line of our own: what comes before it is complete."""
        mark = f"mark-{time.monotonic_ns()}"
        self.shell(f"logger -p auth.info -t test {mark}")
        log = until(lambda: text if mark in (text := self.read("/var/log/auth.log")) else "", PATIENCE)
        return log.count("Accepted publickey for root")

    def guard(self, name: str) -> str:
        """A file of the guard that was armed last; empty if it is not there yet."""
        return self.shell(f"cat {GUARDS}/current/{name} 2>/dev/null || true")

    def guard_state(self) -> str:
        return "".join(self.guard("state").split()[:1])

    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.guard("journal").splitlines()]

    def mail(self, port: int, receiver: str = "microsoft") -> tuple[str, str]:
        """Hand in a message at a port of the host; the peer address and HELO that it arrives with."""
        inbox = self.estate.receiver(receiver)
        inbox.clear()
        inject(self.mta, port, "ops@contoso.com")
        assert until(inbox.messages, PATIENCE), self.shell("tail -n 20 /var/log/mail.log")
        return inbox.messages()[0]["peer"], inbox.messages()[0]["helo"]

    def is_open(self, address: str, port: int) -> bool:
        """Whether a port answers when asked from the hub, which is outside the host."""
        code = f"import socket; socket.create_connection(({address!r}, {port}), 5)"
        return self.estate.hub_run([sys.executable, "-I", "-c", code]).returncode == 0

    def assert_both_streams_flow(self) -> None:
        assert self.mail(25) == ("207.174.124.94", "mta05.performancewest.net")
        assert self.mail(2526) == ("207.174.124.107", "hcmta01.performancewest.net")


class Terminal:
    """A command in the hub with a person before it: its stdin and stderr are a terminal, its stdout is a pipe."""

    def __init__(self, estate: Estate, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self._keyboard, screen = pty.openpty()
        self._seen = ""
        argv = ["setsid", "--ctty", *CLI, *arguments]
        self._process = estate.hub_popen(
            argv, stdin=screen, stdout=subprocess.PIPE, stderr=screen, env=environment, cwd=PROJECT
        )
        os.close(screen)

    def wait_for(self, text: str) -> str:
        """What was shown since the last wait, up to and including `text`."""
        deadline = time.monotonic() + PATIENCE
        while text not in self._seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} was not shown, but {self._seen!r}"
            if select.select([self._keyboard], [], [], left)[0]:
                self._seen += os.read(self._keyboard, 65536).decode(errors="replace")
        shown, _, self._seen = self._seen.partition(text)
        return shown + text

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def answer(self, decision: str, digest: str, name: str, reason: str) -> None:
        """Answer the gate's questions, each when it is asked."""
        for question, words in (("decision:", decision), ("digest:", digest), ("name:", name), ("reason:", reason)):
            self.wait_for(question)
            self.type(f"{words}\n")

    def digest(self) -> str:
        """The digest that is shown above the first question."""
        shown = self.wait_for("decision: approve or reject [reject]: ")
        (found,) = re.findall(r"Its digest is (\w{12})\.", shown)
        return str(found)

    def end(self) -> tuple[int, str]:
        """Exit code and stdout."""
        reader = threading.Thread(target=self._discard, daemon=True)
        reader.start()
        try:
            out, _ = self._process.communicate(timeout=PATIENCE)
        finally:
            self._process.kill()
            reader.join()
            os.close(self._keyboard)
        return self._process.returncode, out.decode()

    def _discard(self) -> None:
        """Read what is shown until the last process has closed the terminal, so that none waits to write."""
        try:
            while os.read(self._keyboard, 65536):
                pass
        except OSError:
            return


def in_network_of(pid: int, call: Callable[[], Answer]) -> Answer:
    outcome: list[Answer] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            join_network(pid)
            assert_isolated()
            outcome.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]
