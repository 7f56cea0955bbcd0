"""parsedmarc in a virtual environment of its own, in the user's cache: it is only measured, never depended on."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from rehearsal.progress import Progress
from rehearsal.rootfs import cache_home

LOCK = Path(__file__).with_name("parsedmarc.lock")
VERSION = next(line.split()[0] for line in LOCK.read_text().splitlines() if line.startswith("parsedmarc=="))


def python(say: Progress) -> Path:
    """The interpreter of that environment, which is made if it is not there."""
    recipe = f"{sys.version}\n{LOCK.read_text()}"
    folder = cache_home() / f"parsedmarc-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    interpreter, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists():
        say(f"installing {VERSION} for comparison, once, about half a minute ({folder})")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        subprocess.run([interpreter, *install, "--requirement", LOCK], check=True)
        complete.touch()
    return interpreter
