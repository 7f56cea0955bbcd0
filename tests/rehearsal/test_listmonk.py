"""The From of a listmonk instance, changed by its API and in its database: stored, in force, and only once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from estate_probes import until
from listmonks import HEALTHCARE, TRUCKING, as_before, block, observing, operating, restart, shared_estate, sql, starts

from blocks.listmonk import Listmonk
from blocks.listmonk_sql import PSQL
from deliverability import listmonk as listmonks
from deliverability.errors import Conflict, HostError, ReadOnlyViolation, Refused
from deliverability.estate import load
from deliverability.finding import failed
from deliverability.plan import SetListmonkFrom
from rehearsal import Estate

pytestmark = pytest.mark.rehearsal

STREAMS = load(Path(__file__).parents[2] / "estates" / "performancewest.toml").streams
OLD = {
    TRUCKING: "Performance West <noreply@performancewest.net>",
    HEALTHCARE: "Performance West Compliance <compliance@performancewest.net>",
}
NEW = {stream.listmonk: stream.sender for stream in STREAMS.values() if stream.listmonk}
STREAM = {stream.listmonk: stream for stream in STREAMS.values() if stream.listmonk}
STORED = "SELECT value #>> '{}' FROM settings WHERE key = 'app.from_email'"
WAYS = pytest.mark.parametrize(
    ("name", "api"), [(TRUCKING, True), (TRUCKING, False), (HEALTHCARE, False)], ids=["api", "sql", "sql-old-version"]
)
RUNNING = (
    "INSERT INTO campaigns (uuid, name, subject, from_email, body, status) "
    "VALUES (gen_random_uuid(), 'going out', '', '', '', 'running')"
)


@pytest.fixture(scope="module")
def estate() -> Estate:
    return shared_estate()


@pytest.fixture(autouse=True)
def kept(estate: Estate) -> Iterator[None]:
    with as_before(estate, TRUCKING), as_before(estate, HEALTHCARE):
        yield


def change(name: str) -> SetListmonkFrom:
    return SetListmonkFrom(host="mta", instance=name, before=OLD[name], after=NEW[name])


def set_from(estate: Estate, of: Listmonk) -> str:
    with operating(estate) as writer:
        return of.set_from(writer, change(of.name))


def read(estate: Estate, of: Listmonk) -> listmonks.Instance:
    with observing(estate) as reader:
        return of.read(reader)


@WAYS
def test_a_look_shows_what_a_plan_needs_and_changes_nothing(estate: Estate, name: str, api: bool) -> None:
    before, began = sql(estate, name, "SELECT json_agg(s) FROM settings s"), starts(estate, name)
    found = read(estate, block(estate, name, api=api))
    assert (found.from_email, found.in_force, found.loaded) == (OLD[name], OLD[name] if api else None, True)
    assert [server.reply_to for server in found.servers] == ["info@performancewest.net"]
    assert [server.port for server in found.servers] == [25 if name == TRUCKING else 2526]
    assert [one.status for one in found.campaigns] == (["draft"] if name == TRUCKING else [])
    assert listmonks.changes(found, STREAM[name], "mta") == (
        change(name).model_copy(update={"why": "the From of its stream"}),
    )
    assert (sql(estate, name, "SELECT json_agg(s) FROM settings s"), starts(estate, name)) == (before, began)


@WAYS
def test_the_from_is_changed_is_in_force_and_nothing_else_is_touched(estate: Estate, name: str, api: bool) -> None:
    others = "SELECT json_agg(s ORDER BY key) FROM (SELECT key, value FROM settings WHERE key <> 'app.from_email') s"
    before = sql(estate, name, others)
    of = block(estate, name, api=api)
    assert "stored" in set_from(estate, of)
    assert sql(estate, name, STORED) == NEW[name]
    assert sql(estate, name, others) == before
    after = read(estate, of)
    assert after.loaded
    assert failed(listmonks.findings(after, STREAM[name], "mta")) == []
    assert listmonks.changes(after, STREAM[name], "mta") == ()


@WAYS
def test_a_second_time_nothing_is_written_and_nothing_reloads(estate: Estate, name: str, api: bool) -> None:
    of = block(estate, name, api=api)
    set_from(estate, of)
    written, began = sql(estate, name, "SELECT max(updated_at) FROM settings"), starts(estate, name)
    assert set_from(estate, of) == "was set already"
    assert (sql(estate, name, "SELECT max(updated_at) FROM settings"), starts(estate, name)) == (written, began)


@WAYS
def test_its_inverse_takes_it_back(estate: Estate, name: str, api: bool) -> None:
    of = block(estate, name, api=api)
    set_from(estate, of)
    with operating(estate) as writer:
        of.set_from(writer, change(name).inverse())
    assert sql(estate, name, STORED) == OLD[name]
    assert read(estate, of).loaded


@WAYS
def test_what_died_before_its_reload_is_seen_and_only_reloaded(estate: Estate, name: str, api: bool) -> None:
    sql(
        estate,
        name,
        f"UPDATE settings SET value = to_jsonb('{NEW[name]}'::text), updated_at = now() WHERE key = 'app.from_email'",
    )
    of = block(estate, name, api=api)
    found = read(estate, of)
    assert not found.loaded
    (planned,) = listmonks.changes(found, STREAM[name], "mta")
    with operating(estate) as writer:
        assert of.set_from(writer, planned) == "was stored already; reloaded"
    assert read(estate, of).loaded
    assert listmonks.changes(read(estate, of), STREAM[name], "mta") == ()


@WAYS
def test_another_from_than_the_plan_knew_is_left_alone(estate: Estate, name: str, api: bool) -> None:
    other = "Somebody Else <o''neil@example.com>"
    sql(estate, name, f"UPDATE settings SET value = to_jsonb('{other}'::text) WHERE key = 'app.from_email'")
    restart(estate, name)
    with pytest.raises(Conflict, match=r"app\.from_email is .*Somebody Else"):
        set_from(estate, block(estate, name, api=api))
    assert sql(estate, name, STORED) == other.replace("''", "'")


@WAYS
def test_while_a_campaign_runs_nothing_is_changed(estate: Estate, name: str, api: bool) -> None:
    sql(estate, name, RUNNING)
    of = block(estate, name, api=api)
    with pytest.raises(Refused, match="campaign 'going out' is running"):
        listmonks.changes(read(estate, of), STREAM[name], "mta")
    with pytest.raises(Conflict, match="campaign 'going out' is running"):
        set_from(estate, of)
    assert sql(estate, name, STORED) == OLD[name]


def test_a_value_is_never_part_of_a_statement(estate: Estate) -> None:
    hostile = "O'Neil \\' \"West\" $(id) :'after' '); DROP TABLE bounces; -- <a@send.performancewest.net>"
    of = block(estate, TRUCKING, api=False)
    wanted = change(TRUCKING).model_copy(update={"after": hostile})
    with operating(estate) as writer:
        of.set_from(writer, wanted)
        assert of.read(writer).from_email == hostile
        of.set_from(writer, wanted.inverse())
    assert sql(estate, TRUCKING, STORED) == OLD[TRUCKING]
    assert sql(estate, TRUCKING, "SELECT count(*) FROM bounces") == "2"


# by the API


def test_an_older_version_takes_the_whole_and_keeps_its_passwords(estate: Estate) -> None:
    token = (estate.state / "keys" / "listmonk-token").read_text().strip()
    sql(
        estate,
        HEALTHCARE,
        f"INSERT INTO users (username, password, email, name, type, status) "
        f"VALUES ('runbook', '{token}', 'a@api', '', 'api', 'enabled')",
    )
    restart(estate, HEALTHCARE)
    everything = (
        "SELECT json_agg(s ORDER BY key) FROM (SELECT key, value FROM settings WHERE key <> 'app.from_email') s"
    )
    before = sql(estate, HEALTHCARE, everything)
    assert "rehearsal-pop" in before
    set_from(estate, block(estate, HEALTHCARE, api=True))
    assert sql(estate, HEALTHCARE, STORED) == NEW[HEALTHCARE]
    assert sql(estate, HEALTHCARE, everything) == before


def test_a_campaign_that_begins_during_the_write_is_told(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    sql(estate, TRUCKING, RUNNING)
    monkeypatch.setattr(Listmonk, "_refuse_while_sending", lambda *_: None)
    with pytest.raises(HostError, match="the new From is stored, and the old one is in force"):
        set_from(estate, block(estate, TRUCKING, api=True))
    assert not read(estate, block(estate, TRUCKING, api=True)).loaded


def test_a_wrong_token_is_said_without_it(estate: Estate, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret-of-mine\n")
    token.chmod(0o600)
    of = block(estate, TRUCKING, api=True).model_copy(update={"api_token": f"file:{token}"})
    with pytest.raises(HostError, match="403") as error:
        read(estate, of)
    assert "s3cret" not in str(error.value)
    token.chmod(0o644)
    with pytest.raises(HostError, match="may be read by others"):
        read(estate, of)


def test_a_look_cannot_write(estate: Estate) -> None:
    with observing(estate) as reader:
        for words in (("-c", "DROP TABLE settings"), ("-f", "-"), ()):
            psql = (*PSQL, *words, "-d", TRUCKING)
            with pytest.raises(ReadOnlyViolation):
                reader.run(*psql)
        assert not hasattr(reader, "http")


def test_the_token_is_in_no_process_list_and_no_password_leaves_the_host(estate: Estate) -> None:
    token = (estate.state / "keys" / "listmonk-token").read_text().strip()
    with observing(estate) as reader:
        result = reader.run(*block(estate, TRUCKING, api=False)._look(), check=False)
    assert "rehearsal-relay" not in result.stdout
    assert "relay@performancewest.net" not in result.stdout
    assert token not in repr(block(estate, TRUCKING, api=True))


# what is down, or another


def test_a_database_that_is_down_is_said(estate: Estate) -> None:
    mta = estate.host("mta")
    mta.run(["systemctl", "stop", "postgresql@15-main"])
    try:
        with pytest.raises(HostError, match=r"database listmonk of listmonk: psql: error: connection") as error:
            read(estate, block(estate, TRUCKING, api=False))
        assert "systemctl status postgresql" in error.value.next_step
        with pytest.raises(HostError):
            set_from(estate, block(estate, TRUCKING, api=False))
        with pytest.raises(HostError, match=r"API of listmonk: 500|does not answer"):
            read(estate, block(estate, TRUCKING, api=True))
    finally:
        mta.run(["systemctl", "start", "postgresql@15-main"])
        for name in (TRUCKING, HEALTHCARE):
            restart(estate, name)


def test_an_instance_that_is_down_is_said(estate: Estate) -> None:
    estate.host("mta").run(["systemctl", "stop", f"listmonk@{TRUCKING}"])
    with pytest.raises(HostError, match=r"listmonk@listmonk\.service is inactive"):
        read(estate, block(estate, TRUCKING, api=False))
    with pytest.raises(HostError, match=r"http://127\.0\.0\.1:9000/api/settings there does not answer"):
        read(estate, block(estate, TRUCKING, api=True))


def test_tables_of_another_version_are_said(estate: Estate) -> None:
    sql(estate, TRUCKING, "ALTER TABLE settings RENAME COLUMN value TO content")
    try:
        with pytest.raises(HostError, match='column "value" does not exist'):
            read(estate, block(estate, TRUCKING, api=False))
    finally:
        sql(estate, TRUCKING, "ALTER TABLE settings RENAME COLUMN content TO value")


# what the world sees


def test_a_test_message_carries_the_new_from_once_it_is_in_force(estate: Estate) -> None:
    of = block(estate, TRUCKING, api=True)
    inbox = estate.receiver("microsoft")
    inbox.clear()
    set_from(estate, of)
    with operating(estate) as writer:
        of.send_test(writer, "probe@contoso.com")
    assert until(inbox.messages, 60)
    (message,) = inbox.messages()
    text = inbox.text(message).decode()
    assert f"From: {NEW[TRUCKING]}" in text
    assert "Reply-To: info@performancewest.net" in text
    assert "d=send.performancewest.net; s=send" in text
    assert (message["peer"], message["helo"]) == ("207.174.124.94", "mta05.performancewest.net")
    with operating(estate) as writer, pytest.raises(HostError, match="by its API only"):
        block(estate, HEALTHCARE, api=False).send_test(writer, "probe@contoso.com")


def test_the_token_file_of_a_rehearsal_is_private(estate: Estate) -> None:
    assert (estate.state / "keys" / "listmonk-token").stat().st_mode & 0o077 == 0
