"""Mail in the mailbox of the estate's mail host, as a delivery agent puts it there."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from rehearsal.hosts import Host

MAILDIR = "var/vmail/dmarc/Maildir"


def deliver(host: Host, mails: Iterable[bytes]) -> None:
    """Add mails; their names are in their order, and none is ever used again, which a maildir asks for."""
    home = Path(f"/proc/{host.pid}/root/{MAILDIR}")
    owner = home.parent.parent.stat()
    for name in ("", "cur", "new", "tmp"):
        folder = home / name
        folder.mkdir(parents=True, exist_ok=True)
        _own(folder, owner)
    _own(home.parent, owner)
    for number, raw in enumerate(mails, time.time_ns()):
        written = home / "tmp" / f"{number}.rehearsal"
        written.write_bytes(raw)
        _own(written, owner)
        written.rename(home / "new" / written.name)


def _own(path: Path, like: os.stat_result) -> None:
    os.chown(path, like.st_uid, like.st_gid)
