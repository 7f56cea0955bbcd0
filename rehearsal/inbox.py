"""The handle of a receiver: what arrived there, and what it shall answer."""

import json
from pathlib import Path
from typing import Any

from rehearsal.errors import RehearsalError
from rehearsal.receiver import STAGES, usable


class Receiver:
    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise RehearsalError(f"no receiver named {folder.name}: look in {folder.parent}")
        self.folder = folder

    def messages(self) -> list[dict[str, Any]]:
        """One dict a transaction, oldest first: time, peer, helo, mail_from, rcpt_to, file, reply."""
        log = self.folder / "log.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def text(self, message: dict[str, Any]) -> bytes:
        """An accepted message as stored, with the Return-Path and Received headers on top."""
        return (self.folder / str(message["file"])).read_bytes()

    def reply(self, **stages: str) -> None:
        """Answer these stages (connect, helo, mail, rcpt, data, end) with these texts, from the next session on."""
        for stage, text in stages.items():
            if stage not in STAGES or not usable(text):
                raise RehearsalError(f"{stage}={text!r}: stages are {', '.join(STAGES)}; a reply is '451 4.7.1 text'")
        fresh = self.folder / "replies.json.new"
        fresh.write_text(json.dumps(stages))
        fresh.replace(self.folder / "replies.json")

    def reply_normally(self) -> None:
        (self.folder / "replies.json").unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget all messages and told replies."""
        self.reply_normally()
        (self.folder / "log.jsonl").unlink(missing_ok=True)
        for file in (self.folder / "new").glob("*"):
            file.unlink()
