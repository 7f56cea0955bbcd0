"""The root file system all hosts share, built once by mmdebstrap from the machine's own apt sources.

It is kept in the user's cache, never in the repository. The name carries a hash of the recipe, so a changed package
list builds a new tree beside the old one instead of altering a tree that a running estate has mounted.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehearsal.errors import RehearsalError, RehearsalUnavailable
from rehearsal.progress import Progress, silent

PACKAGES = Path(__file__).with_name("packages.txt")
APT = Path("/etc/apt")
OPTIONS = (
    "--variant=minbase",
    "--mode=root",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=force-unsafe-io",
)
# What it mounts is seen by nobody else, so removing an unfinished tree cannot reach the machine's /dev; and all of it
# ends with us, however we end.
CONTAINED = (
    *("setpriv", "--pdeathsig", "KILL", "--"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)


def packages() -> list[str]:
    lines = (line.strip() for line in PACKAGES.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def cache_home() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "deliverability-runbook"


def location() -> Path:
    recipe = "\n".join([release(), *OPTIONS, *packages()])
    return cache_home() / f"rootfs-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


def release() -> str:
    """The machine's Debian code name: its apt sources can only build the same release."""
    for line in Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise RehearsalUnavailable("/etc/os-release names no release: run the rehearsal on Debian 12")


def ensure(say: Progress = silent) -> Path:
    """The rootfs, built first if it is not in the cache. Several callers at once build it once."""
    tree = location()
    if tree.is_dir():
        return tree
    if shutil.which("mmdebstrap") is None:
        raise RehearsalUnavailable("mmdebstrap is missing: install it: apt-get install mmdebstrap")
    tree.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(tree.parent / "rootfs.lock"):
        if not tree.is_dir():
            build(tree, say)
    return tree


def build(tree: Path, say: Progress) -> None:
    wanted = packages()
    say(f"building the rootfs: {len(wanted)} packages and what they need, once, about a minute ({tree})")
    for stale in tree.parent.glob("building-*"):  # we hold the lock: nobody else is building
        shutil.rmtree(stale)
    unfinished = Path(tempfile.mkdtemp(prefix="building-", dir=tree.parent))
    try:
        with heartbeat(say), (unfinished / "log").open("w+") as log:
            command = [
                *CONTAINED,
                "mmdebstrap",
                *OPTIONS,
                f"--include={','.join(wanted)}",
                release(),
                str(unfinished / "tree"),
            ]
            done = subprocess.run([*command, *map(str, apt_sources())], stdout=log, stderr=log, check=False)
            log.seek(0)
            if done.returncode != 0:
                raise RehearsalError(f"mmdebstrap failed ({done.returncode}):\n{log.read()[-2000:]}")
        (unfinished / "tree").rename(tree)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    say("rootfs built")


def apt_sources() -> list[Path]:
    """The machine's own sources that offer its release, so that no mirror is named in this project."""
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    found = [file for file in files if file.suffix in {".list", ".sources"} and offers(file, release())]
    if not found:
        raise RehearsalUnavailable(f"no apt source in {APT} offers {release()}: add one, then: apt-get update")
    return found


def offers(file: Path, suite: str) -> bool:
    if not file.is_file():
        return False
    lines = [line.split() for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    return any(suite in words for words in lines)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def heartbeat(say: Progress, seconds: float = 10) -> Iterator[None]:
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds):
            say("still building the rootfs")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
