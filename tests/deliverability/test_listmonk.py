"""A listmonk instance as data: what is read of it, what may be planned, and what is written back whole."""

from typing import Any

import pytest

from deliverability import listmonk
from deliverability.errors import MalformedFile, Refused
from deliverability.estate_tables import Stream
from deliverability.finding import Verdict, failed
from deliverability.listmonk import MASK, Campaign, Instance, Server
from deliverability.plan import Plan, SetListmonkFrom
from reports import render

OLD = "Performance West <noreply@performancewest.net>"
NEW = "Performance West <noreply@send.performancewest.net>"
STREAM = Stream(ip="207.174.124.94", helo="mta05.performancewest.net", sender=NEW, reply_to="info@performancewest.net")
SERVER = {"enabled": True, "host": "127.0.0.1", "port": 25, "email_headers": [{"reply-to": "info@performancewest.net"}]}


def instance(**changes: Any) -> Instance:
    base: dict[str, Any] = {"name": "listmonk", "service": "listmonk@listmonk.service", "from_email": OLD}
    base |= {"loaded": True, "servers": (Server(host="127.0.0.1", port=25, reply_to="info@performancewest.net"),)}
    return Instance(**(base | changes))


def campaign(status: str, sender: str = OLD) -> Campaign:
    return Campaign(name="MCS-150", status=status, from_email=sender)


def planned(before: Instance, stream: Stream = STREAM) -> tuple[Any, ...]:
    return listmonk.changes(before, stream, "mta")


def reasons(before: Instance, stream: Stream = STREAM) -> tuple[str, ...]:
    with pytest.raises(Refused) as refusal:
        planned(before, stream)
    return refusal.value.reasons


# reading


def test_only_enabled_servers_and_unfinished_campaigns_are_kept() -> None:
    settings = {"app.from_email": OLD, "smtp": [SERVER, SERVER | {"enabled": False, "port": 587}]}
    campaigns = [one.model_dump() for one in (campaign("draft"), campaign("finished"), campaign("cancelled"))]
    found = listmonk.instance("listmonk", "listmonk@listmonk.service", settings, campaigns, loaded=True)
    assert found == instance(campaigns=(campaign("draft"),))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"app.from_email": OLD},
        {"app.from_email": 17, "smtp": []},
        {"app.from_email": OLD, "smtp": None},
        {"app.from_email": OLD, "smtp": [17]},
        {"app.from_email": OLD, "smtp": [{"enabled": True}]},
        {"app.from_email": OLD, "smtp": [SERVER | {"email_headers": [17]}]},
        {"app.from_email": OLD, "smtp": [SERVER | {"port": "x"}]},
    ],
)
def test_settings_that_are_no_listmonks_are_said(settings: Any) -> None:
    with pytest.raises(MalformedFile, match="settings of x:1: not those of a listmonk"):
        listmonk.instance("x", "x.service", settings, [], loaded=True)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00"])
def test_what_is_no_json_is_said(text: str) -> None:
    with pytest.raises(MalformedFile, match="database x"):
        listmonk.parse(text, "database x")


# planning


def test_another_from_is_one_change() -> None:
    (change,) = planned(instance())
    assert isinstance(change, SetListmonkFrom)
    assert (change.host, change.instance, change.before, change.after) == ("mta", "listmonk", OLD, NEW)
    assert change.inverse().inverse().model_dump(exclude={"why"}) == change.model_dump(exclude={"why"})
    assert (change.inverse().before, change.inverse().after) == (NEW, OLD)


def test_the_right_from_in_force_is_no_change() -> None:
    assert planned(instance(from_email=NEW, in_force=NEW, campaigns=(campaign("running", NEW),))) == ()


def test_the_right_from_that_is_not_in_force_is_a_reload() -> None:
    (change,) = planned(instance(from_email=NEW, loaded=False))
    assert (change.before, change.after) == (NEW, NEW)
    assert change.why == "it may not have read its settings since they were written"


def test_a_running_campaign_is_a_reason() -> None:
    assert reasons(instance(campaigns=(campaign("running"),))) == ("campaign 'MCS-150' is running",)
    assert reasons(instance(from_email=NEW, loaded=False, campaigns=(campaign("running"),)))
    assert planned(instance(campaigns=(campaign("paused"), campaign("scheduled"))))


@pytest.mark.parametrize("reply_to", ["", "other@performancewest.net"])
def test_a_server_without_the_reply_to_is_a_reason(reply_to: str) -> None:
    server = Server(host="127.0.0.1", port=25, reply_to=reply_to)
    (reason,) = reasons(instance(servers=(server,)))
    assert "not 'info@performancewest.net'" in reason
    assert reasons(instance(from_email=NEW, servers=(server,))) == (reason,), "also where the From is right"


def test_a_server_whose_reply_to_no_stream_wants_is_a_reason() -> None:
    without = STREAM.model_copy(update={"reply_to": ""})
    (reason,) = reasons(instance(), without)
    assert "adds 'info@performancewest.net' as Reply-To, not nothing" in reason
    assert planned(instance(servers=(Server(host="127.0.0.1", port=25),)), without)


@pytest.mark.parametrize("sender", ["", "Performance West", "a@b", "x <a@b.test>\nBcc: y@z.test", "x <a b@c.test>"])
def test_a_sender_that_is_no_address_is_a_reason(sender: str) -> None:
    (reason,) = reasons(instance(), STREAM.model_copy(update={"sender": sender}))
    assert "is no name and address" in reason


def test_a_plan_shows_both_and_its_digest_knows_both() -> None:
    changes = planned(instance())
    plan = Plan(procedure="subdomain-setup", estate="test", host="mta", changes=changes)
    other = Plan(
        procedure="subdomain-setup", estate="test", host="mta", changes=planned(instance(from_email="x <a@b.c>"))
    )
    assert f"~ mta: From of listmonk: '{OLD}' -> '{NEW}'  (the From of its stream)" in render.headline(changes[0])
    assert OLD in render.plan_markdown(plan)
    assert plan.digest != other.digest
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


# evidence


def test_all_is_proved_and_what_does_not_hold_is_found() -> None:
    good = instance(from_email=NEW, in_force=NEW)
    assert failed(listmonk.findings(good, STREAM, "mta")) == []
    for change, check in (
        ({"from_email": OLD}, "listmonk: From stored"),
        ({"in_force": OLD}, "listmonk: From in force"),
        ({"loaded": False, "in_force": None}, "listmonk: From in force"),
        ({"servers": (Server(host="127.0.0.1", port=25),)}, "listmonk: Reply-To"),
    ):
        found = failed(listmonk.findings(good.model_copy(update=change), STREAM, "mta"))
        assert [finding.check for finding in found] == [check]


def test_a_campaign_with_the_old_from_is_a_warning() -> None:
    after = instance(from_email=NEW, campaigns=(campaign("scheduled"), campaign("draft", NEW)))
    (warning,) = [found for found in listmonk.findings(after, STREAM, "mta") if found.verdict is Verdict.WARNING]
    assert (warning.check, warning.observed) == ("listmonk: campaign 'MCS-150' (scheduled)", OLD)


# the whole settings, written back


def test_masked_passwords_are_blanked_and_all_else_stays() -> None:
    settings = {
        "app.from_email": OLD,
        "app.site_name": f"5 {MASK} stars",
        "smtp": [{"uuid": "u1", "password": MASK * 8, "username": "x"}, {"uuid": "u2", "password": ""}],
        "bounce.postmark": {"enabled": False, "password": MASK},
        "upload.s3.aws_secret_access_key": MASK * 40,
        "app.message_rate": 10,
        "privacy.domain_blocklist": [],
    }
    assert listmonk.with_from(settings, NEW) == settings | {
        "app.from_email": NEW,
        "smtp": [{"uuid": "u1", "password": "", "username": "x"}, {"uuid": "u2", "password": ""}],
        "bounce.postmark": {"enabled": False, "password": ""},
        "upload.s3.aws_secret_access_key": "",
    }


def test_a_password_that_nothing_would_keep_is_a_refusal() -> None:
    settings = {"app.from_email": OLD, "smtp": [{"uuid": "u", "password": MASK}, {"password": MASK}]}
    with pytest.raises(Refused, match=r"smtp\[1\] has a password and no uuid"):
        listmonk.with_from(settings, NEW)
