"""Which addresses a Postfix really sent from, by its log and its configuration. Source: Postfix 3.7 (run).

The log names the transport, and the transport's smtp_bind_address is what it sends from.
"""

from collections import Counter
from collections.abc import Iterable

from deliverability.postfix import mail_log
from deliverability.postfix.main_cf import MainCf
from deliverability.postfix.master_cf import MasterCf

BIND = "smtp_bind_address"


def sent(lines: Iterable[str], master: MasterCf, main: MainCf) -> dict[str, int]:
    """Address -> messages with status=sent over SMTP. What was sent from no address of its own is left out."""
    bound = {
        service.name: main.expand(service.overrides.get(BIND, main.value(BIND)))
        for service in master.effective.values()
        if service.command == "smtp"
    }
    transports = (
        delivery.program.removeprefix("postfix/").partition("/")[0]
        for delivery in mail_log.deliveries(lines)
        if delivery.status == "sent" and delivery.program.endswith("/smtp")
    )
    return dict(Counter(bound[name] for name in transports if bound.get(name)))
