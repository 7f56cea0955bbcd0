"""One listmonk instance: read its settings, give it another From, make it send with that one.

By its API where the estate names an API user: that write also reloads. Else in its database, and then a reload of the
unit. Settings are read once, at the start: a row that was changed does nothing by itself (cmd/init.go, awaitReload).
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import quote

from prefect.blocks.core import Block
from pydantic import Field

from blocks import listmonk_sql
from blocks.ssh_host import resolve_file
from blocks.ssh_http import Answer
from blocks.ssh_session import Reader, Writer
from deliverability import estate_tables, listmonk
from deliverability.errors import Conflict, HostError, HostUnreachable, MalformedFile
from deliverability.listmonk import FROM, Instance
from deliverability.plan import SetListmonkFrom

RELOAD_SECONDS = 20.0
"""It reloads half a second after a write, and then checks its tables: seconds on a small host."""

POLL_SECONDS = 0.2
UNFINISHED = "&".join(f"status={status}" for status in listmonk.UNFINISHED)


class Listmonk(Block):
    """One listmonk instance on the MTA host. The API token stays in its file; only its place is kept here."""

    _block_type_name = "listmonk"
    _block_type_slug = "listmonk"
    _description = "A listmonk instance: its From, by its API or by its database."

    name: str = Field(description="Its entry in the estate file")
    database: str
    service: str
    address: str
    api_user: str = ""
    api_token: str = Field("", description="file:PATH of the token")

    @classmethod
    def of(cls, name: str, instance: estate_tables.Listmonk) -> Self:
        """The block of one entry of the estate's [listmonk]."""
        return cls(name=name, **instance.model_dump())

    def read(self, host: Reader) -> Instance:
        """What it has stored, and whether it runs that. Raises HostError, MalformedFile, HostUnreachable."""
        return self._read_api(host) if self.api_user else self._read_database(host)

    def set_from(self, host: Writer, change: SetListmonkFrom) -> str:
        """Make the change if it is not made yet, and reload; what was done, in words.

        Raises Conflict when it says neither `before` nor `after`, or when a campaign runs: listmonk then goes on with
        the old From, and a reload would cut the campaign. Raises HostError when the new From is not in force then.
        """
        now = self.read(host)
        if now.from_email == change.after and now.loaded:
            return "was set already"
        self._refuse_while_sending(now)
        if now.from_email == change.after:
            return f"was stored already; {self.reload(host)}"
        if now.from_email != change.before:
            raise Conflict(f"{self.name}: {FROM} is {now.from_email!r}, not {change.before!r}", next_step="plan again")
        return self._write_api(host, change) if self.api_user else self._write_database(host, change)

    def reload(self, host: Writer) -> str:
        """Make it read its settings again, and wait until it has; what was done, in words. Raises as `set_from`."""
        self._refuse_while_sending(self.read(host))
        if self.api_user:
            self._ask(host, "POST", "admin/reload", b"")
        else:
            # Its unit as upstream ships it has no ExecReload, and `systemctl reload` alone is refused.
            host.run("systemctl", "reload-or-restart", "--", self.service)
        return self._until_loaded(host, "reloaded")

    def send_test(self, host: Writer, recipient: str) -> None:
        """Let it send one message as it sends its campaigns: its From in force, its first server, its Reply-To.

        Raises HostError when there is no API user, or when the server needs a password, which the API does not tell.
        """
        if not self.api_user:
            raise HostError(
                f"{self.name} can be asked for a test message by its API only",
                next_step=f"set listmonk.{self.name}.api_user and api_token in the estate file",
            )
        servers = [server for server in self._settings(host)["smtp"] if server.get("enabled")]
        if not servers or servers[0].get("password"):
            raise HostError(f"{self.name}: no SMTP server that takes mail without a password")
        self._ask(host, "POST", "settings/smtp/test", _json(servers[0] | {"email": recipient}))

    # by the API

    def _read_api(self, host: Reader) -> Instance:
        settings, running = self._settings(host), self._ask(host, "GET", "config")
        campaigns = self._ask(host, "GET", f"campaigns?{UNFINISHED}&no_body=true&per_page=all")
        try:
            in_force = str(running["from_email"])
            loaded = in_force == settings[FROM] and not running["needs_restart"]
            found = campaigns["results"]
        except (KeyError, TypeError) as error:
            raise MalformedFile(f"API of {self.name}", 1, f"not that of a listmonk ({error})") from None
        return listmonk.instance(self.name, self.service, settings, found, loaded=loaded, in_force=in_force)

    def _write_api(self, host: Writer, change: SetListmonkFrom) -> str:
        answer = self._call(host, "PUT", f"settings/{quote(FROM)}", _json(change.after))
        if answer.status in (404, 405):  # before v6.0 there is no single key, only the whole
            body = listmonk.with_from(self._settings(host), change.after)
            answer = self._call(host, "PUT", "settings", _json(body))
        written = self._data(answer)
        if isinstance(written, dict) and written.get("needs_restart"):
            raise HostError(
                f"{self.name}: a campaign began meanwhile; the new From is stored, and the old one is in force",
                next_step="pause the campaign in listmonk, then run this again",
            )
        return self._until_loaded(host, "stored, reloaded by itself")

    def _settings(self, host: Reader) -> dict[str, Any]:
        found = self._ask(host, "GET", "settings")
        if not isinstance(found, dict) or not isinstance(found.get("smtp"), list):
            raise MalformedFile(f"settings of {self.name}", 1, "not those of a listmonk")
        return found

    def _ask(self, host: Reader, method: str, path: str, body: bytes = b"") -> Any:
        return self._data(self._call(host, method, path, body))

    def _call(self, host: Reader, method: str, path: str, body: bytes = b"") -> Answer:
        headers = {"Authorization": f"token {self.api_user}:{self._token()}", "Content-Type": "application/json"}
        target = f"{self.address}/api/{path}"
        if method == "GET":
            return host.http_get(target, headers)
        assert isinstance(host, Writer)
        return host.http(method, target, headers, body)

    def _data(self, answer: Answer) -> Any:
        what = f"API of {self.name}"
        if answer.status == 403:
            raise HostError(
                f"{what}: 403, {answer.text[:200]}",
                next_step=f"does {self.api_user} have this token, settings:get, settings:manage and campaigns:get_all?",
            )
        if answer.status != 200:
            raise HostError(f"{what}: {answer.status}, {answer.text[:200]}")
        found = listmonk.parse(answer.text, what)
        if not isinstance(found, dict) or "data" not in found:
            raise MalformedFile(what, 1, "an answer without data")
        return found["data"]

    def _token(self) -> str:
        file = resolve_file(self.api_token)
        try:
            if file.stat().st_mode & 0o077:
                raise HostError(f"{file} may be read by others", next_step=f"chmod 600 {file}")
            return file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8"
            raise HostError(f"{file}: {why}", next_step=f"put the token of {self.api_user} there, mode 600") from None

    # by the database

    def _read_database(self, host: Reader) -> Instance:
        result = host.run(*self._look(), check=False)
        if result.exit_code != 0:
            raise HostError(
                f"{host.name}: database {self.database} of {self.name}: {result.stderr.strip()[:300]}",
                next_step="systemctl status postgresql, on the host; the tables are those of listmonk v5 and v6",
            )
        found = listmonk.parse(result.stdout, f"database {self.database}")
        loaded = self._began(host) >= _moment(found["stored"] or "")
        return listmonk.instance(self.name, self.service, found["settings"], found["campaigns"], loaded=loaded)

    def _look(self) -> tuple[str, ...]:
        return (*listmonk_sql.LOOKING, self.database)

    def _write_database(self, host: Writer, change: SetListmonkFrom) -> str:
        values = ("-v", f"before={change.before}", "-v", f"after={change.after}")
        done = host.run(*listmonk_sql.PSQL, *values, "-d", self.database, "-f", "-", stdin=listmonk_sql.SET.encode())
        if done.stdout.strip() != "changed":
            raise Conflict(f"{self.name}: {FROM} is not {change.before!r} any more", next_step="plan again")
        return f"stored, {self.reload(host)}"

    def _began(self, host: Reader) -> datetime:
        """When systemd last started or reloaded its unit. A reload that systemd does not know of does not count."""
        asked = ("-p", "ActiveState", "-p", "StateChangeTimestamp", "--timestamp=us+utc", "--", self.service)
        lines = host.run("systemctl", "show", *asked).stdout.splitlines()
        facts = dict(line.split("=", 1) for line in lines if "=" in line)
        if facts.get("ActiveState") != "active":
            raise HostError(
                f"{host.name}: {self.service} is {facts.get('ActiveState', 'unknown')}",
                next_step=f"systemctl status {self.service}, on the host",
            )
        # "Wed 2026-06-24 09:00:00.123456 UTC"
        return _moment(" ".join(facts.get("StateChangeTimestamp", "").split()[1:3]))

    # both

    def _refuse_while_sending(self, now: Instance) -> None:
        for campaign in now.campaigns:
            if campaign.status == "running":
                raise Conflict(
                    f"{self.name}: campaign {campaign.name!r} is running, and a reload would cut it",
                    next_step="wait for its end, or pause it in listmonk; then run this again",
                )

    def _until_loaded(self, host: Writer, words: str) -> str:
        if not _until(lambda: self._is_loaded(host)):
            raise HostError(
                f"{self.name} does not run its stored settings {RELOAD_SECONDS:g} s after it was told to reload",
                next_step=f"journalctl -u {self.service}, on {host.name}",
            )
        return words

    def _is_loaded(self, host: Reader) -> bool:
        try:
            return host.http_get(f"{self.address}/health", {}).status == 200 and self.read(host).loaded
        except HostUnreachable:
            raise
        except HostError:  # while it starts anew, nobody answers
            return False


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _moment(text: str) -> datetime:
    """A moment as PostgreSQL and systemd write it here, in UTC. Raises MalformedFile."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise MalformedFile("time stamps of listmonk", 1, f"no moment: {text[:40]!r}") from None


def _until(condition: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + RELOAD_SECONDS
    while not (reached := condition()) and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
    return reached
