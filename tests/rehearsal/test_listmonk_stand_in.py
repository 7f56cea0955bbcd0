"""What stands in for listmonk has the faults of the real one: the runbook's block is written against them."""

import base64
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from estate_probes import until
from listmonks import shared_estate

from rehearsal import Estate, Host

pytestmark = pytest.mark.rehearsal

BULLET = "\u2022"
OLD = "Performance West <noreply@performancewest.net>"
NEW = "Performance West <noreply@send.performancewest.net>"
REQUEST = """
import json, sys, urllib.error, urllib.request
method, url, headers = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
body = sys.stdin.buffer.read() or None
request = urllib.request.Request(url, data=body, method=method, headers=headers)
try:
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, json.loads(answer.read())]))
"""


@pytest.fixture(scope="module")
def estate() -> Estate:
    return shared_estate()


class Instance:
    """One instance of listmonk, as its own host sees it."""

    def __init__(self, estate: Estate, name: str, port: int) -> None:
        self.mta: Host = estate.host("mta")
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        token = (estate.state / "keys" / "listmonk-token").read_text().strip()
        self.headers = {"Authorization": f"token runbook:{token}"}

    def call(self, method: str, path: str, content: Any = None, **headers: str) -> tuple[int, Any]:
        argv = [sys.executable, "-I", "-c", REQUEST, method, self.url + path, json.dumps(headers or self.headers)]
        body = None if content is None else content if isinstance(content, str) else json.dumps(content)
        done = self.mta.net_run(argv, input=body)
        assert done.returncode == 0, done.stderr
        status, answer = json.loads(done.stdout)
        return status, answer.get("data", answer.get("message"))

    def get(self, path: str) -> Any:
        status, answer = self.call("GET", path)
        assert status == 200, answer
        return answer

    def sql(self, statement: str) -> str:
        done = self.mta.run(["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", self.name, "-c", statement])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def put(self, path: str, content: Any) -> None:
        """A write that reloads, and the end of that reload: till then a connection may break off."""
        starts = self.starts()
        assert self.call("PUT", path, content) == (200, True)
        assert until(lambda: self.starts() > starts)

    def restart(self) -> None:
        unit = f"listmonk@{self.name}"
        self.mta.run(["systemctl", "reset-failed", unit])  # systemd refuses what was started often of late
        assert self.mta.run(["systemctl", "restart", unit]).returncode == 0

    def starts(self) -> int:
        return self.mta.run(["journalctl", "-u", f"listmonk@{self.name}"]).stdout.count("stand-in: From")

    def in_force(self) -> str:
        """The From it would send with."""
        return str(self.get("/api/config")["from_email"])


@pytest.fixture
def listmonk(estate: Estate) -> Iterator[Instance]:
    """The trucking instance, with its settings back as they were afterwards."""
    instance = Instance(estate, "listmonk", 9000)
    before = instance.sql("SELECT json_agg(s) FROM (SELECT key, value FROM settings) s").replace("'", "''")
    yield instance
    instance.sql(
        f"DELETE FROM campaigns WHERE status = 'running'; UPDATE settings SET value = s.value "
        f"FROM jsonb_to_recordset('{before}') AS s (key text, value jsonb) WHERE settings.key = s.key"
    )
    instance.restart()


# the databases


@pytest.mark.parametrize(
    ("name", "port", "sender"),
    [("listmonk", 25, OLD), ("listmonk_hc", 2526, "Performance West Compliance <compliance@performancewest.net>")],
)
def test_each_instance_has_its_own_settings(estate: Estate, name: str, port: int, sender: str) -> None:
    instance = Instance(estate, name, 0)
    assert instance.sql("SELECT value #>> '{}' FROM settings WHERE key = 'app.from_email'") == sender
    servers = json.loads(instance.sql("SELECT value FROM settings WHERE key = 'smtp'"))
    (enabled,) = [server for server in servers if server["enabled"]]
    assert (enabled["host"], enabled["port"]) == ("127.0.0.1", port)
    assert enabled["email_headers"] == [{"Reply-To": "info@performancewest.net"}]
    window = "SELECT value FROM settings WHERE key LIKE 'app.message_sliding_window%' ORDER BY key"
    assert instance.sql(window).split() == ["true", '"1h"', "200"]


@pytest.mark.parametrize("name", ["listmonk", "listmonk_hc"])
def test_there_are_subscribers_of_every_status(estate: Estate, name: str) -> None:
    instance = Instance(estate, name, 0)
    assert set(instance.sql("SELECT DISTINCT status FROM subscribers").split()) == {
        *("enabled", "disabled", "blocklisted")
    }
    bounced = "SELECT count(*) FROM subscribers s JOIN subscriber_lists l ON l.subscriber_id = s.id"
    assert int(instance.sql(f"{bounced} WHERE s.status = 'blocklisted' AND l.status = 'confirmed'"))


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (
            "INSERT INTO subscribers (uuid, email, name) VALUES (gen_random_uuid(), 'OWNER@fabrikam.com', '')",
            "idx_subs_email",
        ),
        ("UPDATE subscribers SET status = 'blacklisted'", "invalid input value for enum"),
        ("UPDATE settings SET value = 'Name <a@b>' WHERE key = 'app.from_email'", "invalid input syntax for type json"),
        ("INSERT INTO settings (key, value) VALUES ('app.from_email', '1')", "settings_key_key"),
    ],
)
def test_the_database_refuses_what_the_real_one_refuses(estate: Estate, statement: str, error: str) -> None:
    with pytest.raises(AssertionError, match=error):
        Instance(estate, "listmonk", 0).sql(statement)


# settings and reload


def test_a_row_that_was_changed_has_no_effect_until_a_reload(listmonk: Instance) -> None:
    listmonk.sql(f"UPDATE settings SET value = to_jsonb('{NEW}'::text) WHERE key = 'app.from_email'")
    assert listmonk.get("/api/settings")["app.from_email"] == NEW
    assert listmonk.in_force() == OLD
    starts = listmonk.starts()
    listmonk.mta.run(["systemctl", "kill", "--signal=HUP", "--kill-whom=main", "listmonk@listmonk"])
    assert until(lambda: listmonk.starts() > starts)
    assert listmonk.in_force() == NEW


def test_the_unit_cannot_be_reloaded_but_restarted(listmonk: Instance) -> None:
    refused = listmonk.mta.run(["systemctl", "reload", "listmonk@listmonk"])
    assert refused.returncode != 0
    assert "not applicable" in refused.stderr
    assert listmonk.mta.run(["systemctl", "reload-or-restart", "listmonk@listmonk"]).returncode == 0


def test_one_key_is_stored_unvalidated_and_reloads_by_itself(listmonk: Instance) -> None:
    listmonk.put("/api/settings/app.from_email", json.dumps(NEW))
    assert listmonk.in_force() == NEW
    listmonk.put("/api/settings/app.from_email", "17")
    assert listmonk.get("/api/settings")["app.from_email"] == 17
    assert listmonk.call("PUT", "/api/settings/app.from_email", "{") == (400, "invalid JSON")


def test_an_older_version_knows_no_single_key(estate: Estate) -> None:
    old = Instance(estate, "listmonk_hc", 9001)
    old.sql(
        "INSERT INTO users (username, password, email, name, type, status) "
        "VALUES ('runbook', 'secret', 'a@api', '', 'api', 'enabled')"
    )
    old.restart()
    header = {"Authorization": "token runbook:secret"}
    assert old.call("PUT", "/api/settings/app.from_email", json.dumps(NEW), **header) == (404, "Not Found")
    old.sql("DELETE FROM users")
    old.restart()


def test_while_a_campaign_runs_nothing_reloads_by_itself(listmonk: Instance) -> None:
    listmonk.sql(
        "INSERT INTO campaigns (uuid, name, subject, from_email, body, status) "
        "VALUES (gen_random_uuid(), 'now', '', '', '', 'running')"
    )
    assert listmonk.call("PUT", "/api/settings/app.from_email", json.dumps(NEW)) == (200, {"needs_restart": True})
    config = listmonk.get("/api/config")
    assert (config["from_email"], config["needs_restart"]) == (OLD, True)
    starts = listmonk.starts()
    assert listmonk.call("POST", "/api/admin/reload") == (200, True)
    assert until(lambda: listmonk.starts() > starts)
    assert listmonk.in_force() == NEW


# the full object


def stored_passwords(listmonk: Instance) -> list[str]:
    servers = json.loads(listmonk.sql("SELECT value FROM settings WHERE key = 'smtp'"))
    boxes = json.loads(listmonk.sql("SELECT value FROM settings WHERE key = 'bounce.mailboxes'"))
    return [entry["password"] for entry in (*servers, *boxes)]


def test_passwords_are_masked_and_masks_put_back_become_passwords(listmonk: Instance) -> None:
    before = stored_passwords(listmonk)
    shown = listmonk.get("/api/settings")
    masks = [entry["password"] for entry in (*shown["smtp"], *shown["bounce.mailboxes"])]
    assert masks == [BULLET * len(password) for password in before]
    listmonk.put("/api/settings", shown)
    assert stored_passwords(listmonk) == masks


def test_blank_passwords_stay_by_their_uuid(listmonk: Instance) -> None:
    before = stored_passwords(listmonk)
    shown = listmonk.get("/api/settings")
    for entry in (*shown["smtp"], *shown["bounce.mailboxes"]):
        entry["password"] = ""
    shown["smtp"].reverse()
    listmonk.put("/api/settings", shown)
    assert sorted(stored_passwords(listmonk)) == sorted(before)
    for entry in shown["smtp"]:
        del entry["uuid"]
    listmonk.put("/api/settings", shown)
    assert "rehearsal-relay" not in stored_passwords(listmonk)


def test_what_the_full_object_lacks_becomes_nothing(listmonk: Instance) -> None:
    shown = listmonk.get("/api/settings")
    del shown["app.message_sliding_window_rate"], shown["app.from_email"]
    listmonk.put("/api/settings", shown | {"nosuch.key": 1})
    assert listmonk.sql("SELECT value FROM settings WHERE key = 'app.message_sliding_window_rate'") == "0"
    assert listmonk.sql("SELECT value FROM settings WHERE key = 'app.from_email'") == '""'
    assert listmonk.sql("SELECT count(*) FROM settings WHERE key = 'nosuch.key'") == "0"


def test_one_server_has_to_be_enabled(listmonk: Instance) -> None:
    shown = listmonk.get("/api/settings")
    for server in shown["smtp"]:
        server["enabled"] = False
    assert listmonk.call("PUT", "/api/settings", shown)[0] == 400


# who may ask


@pytest.mark.parametrize("header", ["", "token runbook:wrong", "token nobody:x", "Basic !", "Bearer x"])
def test_bad_credentials_are_403(estate: Estate, header: str) -> None:
    instance = Instance(estate, "listmonk", 9000)
    assert instance.call("GET", "/api/settings", Authorization=header)[0] == 403
    assert instance.call("GET", "/health", Authorization=header) == (200, True)


def test_a_cookie_hides_good_credentials(listmonk: Instance) -> None:
    basic = base64.b64encode(listmonk.headers["Authorization"].removeprefix("token ").encode()).decode()
    assert listmonk.call("GET", "/api/config", Authorization=f"Basic {basic}")[0] == 200
    assert listmonk.call("GET", "/api/config", **listmonk.headers, Cookie="session=x")[0] == 403


# sending


def test_a_test_message_has_the_from_in_memory_and_goes_where_it_is_told(listmonk: Instance, estate: Estate) -> None:
    inbox = estate.receiver("microsoft")
    inbox.clear()
    listmonk.sql(f"UPDATE settings SET value = to_jsonb('{NEW}'::text) WHERE key = 'app.from_email'")
    (server,) = [server for server in listmonk.get("/api/settings")["smtp"] if server["enabled"]]
    assert listmonk.call("POST", "/api/settings/smtp/test", server)[0] == 400
    assert listmonk.call("POST", "/api/settings/smtp/test", server | {"email": "ops@contoso.com"})[0] == 200
    assert until(inbox.messages, 60)
    (message,) = inbox.messages()
    assert message["peer"] == "207.174.124.94"
    headers = inbox.text(message).decode()
    assert f"From: {OLD}" in headers
    assert "Reply-To: info@performancewest.net" in headers
