"""How the days went, by the mail log: messages of a transport, and how many a receiver refused for reputation."""

import re
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from deliverability.postfix import mail_log

REPUTATION = re.compile(r"reputation|4\.7\.500|S31[45]0|TSS0[49]|unusual rate of", re.ASCII | re.IGNORECASE)
"""What receivers say when it is the sender they mean: Gmail, Microsoft, Yahoo."""


class Day(BaseModel):
    """One day of a transport: attempts, and those refused, for now or for good, because of the sender's reputation."""

    model_config = ConfigDict(frozen=True)

    attempts: int = 0
    refused: int = 0

    @property
    def share(self) -> float:
        return self.refused / self.attempts if self.attempts else 0.0


def by_day(lines: Iterable[str], transports: Iterable[str]) -> dict[str, Day]:
    """Day (the log's own date, as far as it has one) -> how it went for these transports."""
    programs = {f"postfix/{name}/smtp" for name in transports}
    found: dict[str, Day] = {}
    for delivery in mail_log.deliveries(lines):
        if delivery.program not in programs:
            continue
        date = delivery.time[:10] if delivery.time[:4].isdigit() else delivery.time[:6]
        day = found.get(date, Day())
        refused = delivery.status != "sent" and REPUTATION.search(delivery.text) is not None
        found[date] = Day(attempts=day.attempts + 1, refused=day.refused + refused)
    return found
