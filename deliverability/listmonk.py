"""One listmonk instance: its settings as far as the From goes, and the changes that give it the From of its stream.

Facts: listmonk v6.2, models/settings.go and cmd/settings.go. Settings are read once, when the program starts: what is
stored is not what it sends with until it has been reloaded.
"""

import json
import re
from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from pydantic import BaseModel, ConfigDict

from deliverability.errors import MalformedFile, Refused
from deliverability.estate_tables import Stream
from deliverability.finding import Finding, Verdict, judged
from deliverability.plan import SetListmonkFrom

FROM = "app.from_email"
MASK = "\u2022"
UNFINISHED = ("draft", "running", "scheduled", "paused")


class _Observed(BaseModel):
    model_config = ConfigDict(frozen=True)


class Server(_Observed):
    """One enabled SMTP server of an instance: where it hands mail in, and the Reply-To it adds ("" for none)."""

    host: str
    port: int
    reply_to: str = ""


class Campaign(_Observed):
    """A campaign that is not finished. It carries a From of its own, which no setting changes."""

    name: str
    status: str
    from_email: str


class Instance(_Observed):
    """What an instance has stored.

    `in_force` is the From it sends with, where it could be asked; `loaded` whether it runs what is stored.
    """

    name: str
    service: str
    from_email: str
    in_force: str | None = None
    loaded: bool
    servers: tuple[Server, ...]
    campaigns: tuple[Campaign, ...] = ()


def instance(
    name: str,
    service: str,
    settings: Mapping[str, Any],
    campaigns: list[Any],
    *,
    loaded: bool,
    in_force: str | None = None,
) -> Instance:
    """Read the settings (by key) and all campaigns of an instance. Raises MalformedFile for what is no listmonk's."""
    try:
        servers = [server for server in settings["smtp"] if server["enabled"]]
        from_email = settings[FROM]
        if not isinstance(from_email, str):
            raise TypeError(FROM)
        return Instance(
            name=name,
            service=service,
            from_email=from_email,
            in_force=in_force,
            loaded=loaded,
            servers=tuple(
                Server(host=server["host"], port=server["port"], reply_to=_reply_to(server)) for server in servers
            ),
            campaigns=tuple(
                Campaign(name=one["name"], status=one["status"], from_email=one["from_email"])
                for one in campaigns
                if one["status"] in UNFINISHED
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {str(error)[:80]}"
        raise MalformedFile(f"settings of {name}", 1, f"not those of a listmonk ({what})") from None


def parse(text: str, what: str) -> Any:
    """JSON as a database or an API gave it. Raises MalformedFile."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedFile(what, getattr(error, "lineno", 1), f"no JSON: {str(error)[:80]}") from None


def with_from(settings: Mapping[str, Any], sender: str) -> dict[str, Any]:
    """The whole settings to write back with another From. They were shown with bullets for each password.

    Written back, bullets would become the password; a blank one is kept, in a list by the uuid of its entry. Raises
    Refused when an entry with a password has no uuid: nothing could be kept by it.
    """
    lost = [
        f"{key}[{number}] has a password and no uuid"
        for key, value in settings.items()
        if isinstance(value, list)
        for number, entry in enumerate(value)
        if isinstance(entry, dict) and not entry.get("uuid") and any(map(_is_mask, entry.values()))
    ]
    if lost:
        raise Refused(
            "writing the settings back would lose a password",
            lost,
            next_step="save them once in listmonk's own settings page, which gives every entry a uuid; then plan again",
        )
    blanked = {key: _blanked(value) for key, value in settings.items()}
    return blanked | {FROM: sender}


def changes(before: Instance, stream: Stream, host: str) -> tuple[SetListmonkFrom, ...]:
    """What gives the instance its stream's From; nothing if it sends with it already.

    Raises Refused while a campaign runs, since listmonk then reloads only by force, in the middle of it; and when an
    enabled SMTP server sends with another Reply-To than the stream's: answers would go to the From, which nobody reads.
    """
    reasons = [
        f"SMTP server {server.host}:{server.port} adds {_quoted(server.reply_to)} as Reply-To, not "
        f"{_quoted(stream.reply_to)}"
        for server in before.servers
        if server.reply_to != stream.reply_to
    ]
    is_done = before.from_email == stream.sender and before.loaded
    if not is_done:
        reasons += _unusable(stream)
        reasons += [f"campaign {one.name!r} is running" for one in before.campaigns if one.status == "running"]
    if reasons:
        raise Refused(
            f"{before.name}: {len(reasons)} reason(s) against its From",
            reasons,
            next_step="settle these in listmonk, then plan again",
        )
    if is_done:
        return ()
    stored = before.from_email == stream.sender
    why = "it may not have read its settings since they were written" if stored else "the From of its stream"
    return (SetListmonkFrom(host=host, instance=before.name, before=before.from_email, after=stream.sender, why=why),)


def findings(after: Instance, stream: Stream, where: str) -> list[Finding]:
    """The evidence that an instance sends with its stream's From and Reply-To."""
    replies = sorted({server.reply_to or "none" for server in after.servers})
    expected = stream.reply_to or "none"
    name = after.name
    return [
        judged(f"{name}: From stored", after.from_email == stream.sender, stream.sender, after.from_email, where),
        judged(
            f"{name}: From in force",
            after.loaded and after.in_force in (None, stream.sender),
            stream.sender,
            after.in_force or ("reloaded since it was stored" if after.loaded else "not reloaded since it was stored"),
            where,
        ),
        judged(f"{name}: Reply-To", replies == [expected], expected, ", ".join(replies), where),
        *(_own_from(name, one, stream, where) for one in after.campaigns if one.from_email != stream.sender),
    ]


def _unusable(stream: Stream) -> list[str]:
    """The API stores whatever it is given, and a line break in it would begin another header."""
    address = parseaddr(stream.sender)[1]
    good = stream.sender.isprintable() and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address)
    return [] if good else [f"the stream's sender {stream.sender!r} is no name and address"]


def _own_from(name: str, campaign: Campaign, stream: Stream, where: str) -> Finding:
    return Finding(
        check=f"{name}: campaign {campaign.name!r} ({campaign.status})",
        verdict=Verdict.WARNING,
        expected=stream.sender,
        observed=campaign.from_email,
        where=where,
        fix="a campaign keeps the From it was made with: edit it in listmonk before it is sent",
    )


def _reply_to(server: Mapping[str, Any]) -> str:
    headers = [pair for pairs in server.get("email_headers") or [] for pair in pairs.items()]
    return next((str(value) for name, value in headers if name.lower() == "reply-to"), "")


def _is_mask(value: Any) -> bool:
    return isinstance(value, str) and value != "" and set(value) == {MASK}


def _blanked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _blanked(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_blanked(below) for below in value]
    return "" if _is_mask(value) else value


def _quoted(text: str) -> str:
    return repr(text) if text else "nothing"
