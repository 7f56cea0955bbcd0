"""Who sent a report, as far as that is proved: anybody may mail one, in any name (RFC 9990 section 9).

Either our own MX has said so in the topmost Authentication-Results (RFC 8601), or a signature of the author's domain
is valid.
"""

from collections.abc import Callable, Collection
from email.message import Message
from email.utils import parseaddr

import authres

from deliverability.authentication import Signature, aligned

_LONGEST = 1 << 14
_LONGEST_FROM = 500
"""Characters: comments within comments take Python's stack."""
Signatures = Callable[[], tuple[Signature, ...]]


def author(message: Message) -> str:
    """The domain in From; "" if there is not exactly one author."""
    fields = [str(one) for one in message.get_all("From") or []]
    if len(fields) != 1 or len(fields[0]) > _LONGEST_FROM:
        return ""
    return parseaddr(fields[0])[1].rpartition("@")[2].lower()[:253]


def sender(message: Message, authserv_ids: Collection[str], signatures: Signatures) -> str:
    """The author's domain if it is proved to be the sender, else "".

    `authserv_ids` are the names under which our own MX writes; without any, what stands there could be anyone's.
    `signatures` checks the message's own, and is only asked if the MX did not say enough.
    """
    domain = author(message)
    if not domain:
        return ""
    if any(aligned(one, domain) for one in _passed(message, authserv_ids)):
        return domain
    return domain if any(not one.fault and aligned(one.domain, domain) for one in signatures()) else ""


def _passed(message: Message, authserv_ids: Collection[str]) -> list[str]:
    """Domains that our MX found to be the sender's."""
    fields = message.get_all("Authentication-Results") or []
    if not fields or not authserv_ids or len(str(fields[0])) > _LONGEST:
        return []
    try:
        header = authres.AuthenticationResultsHeader.parse(f"Authentication-Results: {fields[0]}")
    except (authres.AuthResError, RecursionError):
        return []
    if str(header.authserv_id).lower() not in authserv_ids:
        return []
    return [_domain(one) for one in header.results if one.result == "pass"]


def _domain(result: authres.AuthenticationResult) -> str:
    known = {"dmarc": ("header", "from"), "dkim": ("header", "d"), "spf": ("smtp", "mailfrom")}
    wanted = known.get(result.method)
    found = [one.value for one in result.properties if (one.type, one.name) == wanted]
    return str(found[0]).rpartition("@")[2].lower() if found else ""
