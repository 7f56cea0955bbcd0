"""Telling a person, wherever they are: Telegram, mail, a pager, whatever apprise knows.

The addresses hold tokens. They stay in their file, are never logged, and no error repeats one.
"""

import logging
from typing import Self

import apprise
from prefect.blocks.core import Block
from pydantic import Field

from blocks.ssh_host import resolve_file
from deliverability import estate as estates
from deliverability.errors import NotificationFailed

TEXT_LIMIT = 3500
"""Characters: Telegram takes 4096, and a person who is woken up reads less."""

# It logs addresses with their tokens, and what it has to say comes back as True or False.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


class Notifier(Block):
    """Who is told when a person is needed."""

    _block_type_name = "Notifier"
    _block_type_slug = "notifier"
    _description = "Who is told when a person is needed."

    urls: str = Field(description="file:PATH with one apprise address a line")

    @classmethod
    def of(cls, estate: estates.Estate) -> Self:
        return cls(urls=estate.notifications.urls)

    def send(self, title: str, text: str) -> int:
        """Send to everybody; how many that are. Raises NotificationFailed if not everybody was reached."""
        short = text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + " [...]"
        services = self._services()
        deaf = [
            number
            for number, service in enumerate(services, 1)
            if not service.notify(title=title, body=short, body_format=apprise.NotifyFormat.TEXT)
        ]
        if deaf:
            raise NotificationFailed(f"{self._which(deaf)} could not be told", next_step=f"is it right in {self.urls}?")
        return len(services)

    def check(self) -> int:
        """How many addresses there are, without a word to any. Raises NotificationFailed."""
        return len(self._services())

    def _services(self) -> list[apprise.Apprise]:
        if not self.urls:
            raise NotificationFailed(
                "the estate file names nobody who is told when a person is needed",
                next_step="set notifications.urls to file:PATH with one apprise address a line",
            )
        file = resolve_file(self.urls)
        try:
            lines = [line.strip() for line in file.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            raise NotificationFailed(
                f"{file} cannot be read: {why}", next_step="put one apprise address a line there, mode 600"
            ) from None
        services = [(apprise.Apprise(), line) for line in lines if line and not line.startswith("#")]
        unknown = [number for number, (service, line) in enumerate(services, 1) if not service.add(line)]
        if unknown or not services:
            which = f"{self._which(unknown)} is none" if services else "there is no address"
            raise NotificationFailed(
                f"{file}: {which} that apprise knows",
                next_step="each is a line such as tgram://TOKEN/CHAT or mailto://USER:PASSWORD@HOST",
            )
        return [service for service, _ in services]

    def _which(self, numbers: list[int]) -> str:
        return f"address {', '.join(map(str, numbers))}"
