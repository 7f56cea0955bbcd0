"""A host of the estate: its files layer, starting it, running commands in it."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rehearsal import leftovers, process
from rehearsal.errors import HostFailed
from rehearsal.world import HERE, HostSpec

READY = "run/rehearsal-ready"
Done = subprocess.CompletedProcess[str]


class Machine:
    """A running host, held by the runner of the estate."""

    def __init__(self, spec: HostSpec, folder: Path, cgroup: Path) -> None:
        self.spec = spec
        self.folder = folder
        self.cgroup = cgroup
        self.init = 0
        self._unshare: subprocess.Popen[str] | None = None

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def lay_files(self) -> None:
        """The lowest layer of the host's own: its folder in this package. Keys made for this run are added to it."""
        shutil.copytree(HERE / "hosts" / self.spec.name / "files", self.files, symlinks=True)
        for path in [self.files, *self.files.rglob("*")]:  # whatever umask the checkout was made with
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        self.add("usr/local/lib/rehearsal/boot", (HERE / "hosts" / self.spec.name / "boot").read_text())
        if self.spec.program:
            for source in (HERE / self.spec.program).glob("*.py"):
                self.add(f"usr/local/lib/rehearsal/rehearsal/{self.spec.program}/{source.name}", source.read_text())

    def add(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.files / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def boot(self, hub: int, rootfs: Path, disk: Path) -> None:
        # from the hub's mount namespace, where the disk is
        command = ["nsenter", f"--mount=/proc/{hub}/ns/mnt", "--"]
        command += ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--propagation", "private"]
        command += ["--fork", "--kill-child", "--", "/bin/sh", str(HERE / "boot" / "host.sh")]
        command += [self.spec.hostname, str(rootfs), str(self.files), str(disk)]
        with (self.folder / "console").open("w") as console:
            self._unshare = process.spawn(self.cgroup, command, console)
        init = process.first_child(self._unshare)
        if init is None:
            raise self.failure("did not start")
        self.init = init

    def wait_ready(self, deadline: float) -> None:
        ready = Path(f"/proc/{self.init}/root/{READY}")
        while not ready.exists():
            if self._unshare is None or self._unshare.poll() is not None:
                raise self.failure("died while starting")
            if time.monotonic() > deadline:
                raise self.failure("is not ready in time")
            time.sleep(0.01)

    def failure(self, what: str) -> HostFailed:
        console = (self.folder / "console").read_text(errors="replace")
        return HostFailed(f"host {self.spec.name} {what}; its console ends:\n{console[-3000:]}")

    def kill(self) -> None:
        """The power cord. First pid 1, whose parent then reaps it: the other way round it would linger as a zombie."""
        if self._unshare is not None:
            if self._unshare.poll() is None:  # else the number may be another process's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.init, signal.SIGKILL)
            self._unshare.wait()
        leftovers.kill_all(self.cgroup)
        leftovers.remove_groups(self.cgroup)


class Host:
    """What others may do with a host of a running estate, also from another process."""

    def __init__(self, name: str, pid: Callable[[], int], restart: Callable[[], None]) -> None:
        self.name = name
        self._pid = pid
        self._restart = restart

    @property
    def pid(self) -> int:
        """The host's pid 1, as the machine counts. Another one after a restart."""
        return self._pid()

    def run(self, argv: Sequence[str], input: str | None = None, timeout: float = 30) -> Done:
        """Run a command in the host, as its root."""
        enter = ["nsenter", "--all", f"--target={self.pid}", "--"]
        return process.call([*enter, *argv], input, timeout, env=process.HOST_ENVIRONMENT, cwd="/")

    def net_run(self, argv: Sequence[str], input: str | None = None, timeout: float = 30) -> Done:
        """Run one of the machine's programs in the network of the host: its addresses, its loopback."""
        return process.call(process.in_network(self.pid, argv), input, timeout)

    def restart(self) -> None:
        """Pull the power cord and boot again. Files stay; processes, /run and /tmp do not."""
        self._restart()
