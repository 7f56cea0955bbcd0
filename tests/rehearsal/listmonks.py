"""The two listmonk instances of a rehearsal estate, as the runbook's block and as the test sees them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import estates
from blocks.listmonk import Listmonk
from blocks.ssh_host import SshHost
from blocks.ssh_session import Reader, Writer
from deliverability.estate_tables import Listmonk as Entry
from estates import in_network_of
from rehearsal import Estate

TRUCKING, HEALTHCARE = "listmonk", "listmonk_hc"
PORTS = {TRUCKING: 9000, HEALTHCARE: 9001}


def shared_estate() -> Estate:
    """The session's, with an mta as new and both instances up."""
    made = estates.estate()
    made.reset()
    assert made.host("mta").run(["systemctl", "start", "listmonk.target"]).returncode == 0
    return made


def block(estate: Estate, name: str, *, api: bool) -> Listmonk:
    user = {"api_user": "runbook", "api_token": f"file:{estate.state}/keys/listmonk-token"} if api else {}
    address = f"127.0.0.1:{PORTS[name]}"
    return Listmonk.of(name, Entry(database=name, service=f"listmonk@{name}.service", address=address, **user))


@contextmanager
def observing(estate: Estate) -> Iterator[Reader]:
    with _ssh(estate, "observe") as reader:
        yield reader


@contextmanager
def operating(estate: Estate) -> Iterator[Writer]:
    with _ssh(estate, "operate") as writer:
        assert isinstance(writer, Writer)
        yield writer


@contextmanager
def _ssh(estate: Estate, how: str) -> Iterator[Reader]:
    key, pinned = f"file:{estate.state}/keys/operator", f"file:{estate.state}/known_hosts"
    host = SshHost(name="mta", address="207.174.124.71", key=key, host_key=pinned)
    context = getattr(host, how)()
    handle = in_network_of(json.loads((estate.state / "estate.json").read_text())["hub"], context.__enter__)
    try:
        yield handle
    finally:
        context.__exit__(None, None, None)


def sql(estate: Estate, name: str, statement: str) -> str:
    done = estate.host("mta").run(["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", name, "-c", statement])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def restart(estate: Estate, name: str) -> None:
    unit = f"listmonk@{name}"
    estate.host("mta").run(["systemctl", "reset-failed", unit])  # systemd refuses what was started often of late
    assert estate.host("mta").run(["systemctl", "restart", unit]).returncode == 0


def starts(estate: Estate, name: str) -> int:
    """How often the instance has read its settings."""
    return estate.host("mta").run(["journalctl", "-u", f"listmonk@{name}"]).stdout.count("stand-in: From")


@contextmanager
def as_before(estate: Estate, name: str) -> Iterator[None]:
    """Put the instance's settings, users and campaigns back as they were, whatever happens."""
    tables = ("settings", "users", "campaigns")
    sql(estate, name, "; ".join(f"CREATE TABLE before_{table} AS TABLE {table}" for table in tables))
    try:
        yield
    finally:
        known = [f"(SELECT count(*) FROM (TABLE {table} EXCEPT TABLE before_{table}) t)" for table in tables]
        changed = sql(estate, name, f"SELECT {' + '.join(known)}") != "0"
        back = [f"DELETE FROM {table}; INSERT INTO {table} TABLE before_{table}" for table in tables]
        sql(estate, name, "; ".join([*back, *(f"DROP TABLE before_{table}" for table in tables)]))
        if changed or estate.host("mta").run(["systemctl", "is-active", f"listmonk@{name}"]).returncode:
            restart(estate, name)
