"""The estate file: facts and policy of one operator's mail, without secrets.

TOML, read with tomllib. `extends = "other.toml"` takes another estate and overlays this file's tables on it.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from deliverability.errors import EstateError
from deliverability.estate_tables import (
    Console,
    Dmarc,
    Dns,
    Domain,
    FeedbackLoop,
    Gates,
    Guard,
    Host,
    Listmonk,
    MailAdmin,
    Mta,
    Notifications,
    Probe,
    Reports,
    Scrub,
    Stream,
    Table,
    Thresholds,
    Volume,
)


class Estate(Table):
    """Everything a procedure needs to know about one operator's mail."""

    name: str
    rehearsal: bool = False
    hosts: Mapping[str, Host]
    mta: Mta
    streams: Mapping[str, Stream]
    listmonk: Mapping[str, Listmonk] = Field(default_factory=dict, description="Instances, named by streams")
    domains: Mapping[str, Domain]
    dns: Dns
    mail_admin: MailAdmin
    feedback_loops: tuple[FeedbackLoop, ...] = ()
    consoles: tuple[Console, ...] = ()
    dmarc: Dmarc
    scrub: Scrub
    volume: Volume
    thresholds: Thresholds
    probes: tuple[Probe, ...]
    gates: Gates = Gates()
    guard: Guard = Guard()
    notifications: Notifications = Notifications()
    reports: Reports = Reports()

    @model_validator(mode="after")
    def _consistent(self) -> "Estate":
        for where, name in (("mta.host", self.mta.host), ("dns.master", self.dns.master)):
            if name not in self.hosts:
                raise ValueError(f"{where} is {name!r}, which is no entry of [hosts]: {', '.join(self.hosts)}")
        known = self.mta.pool_addresses() | {str(address) for address in self.mta.infrastructure}
        for name, stream in self.streams.items():
            if str(stream.ip) not in known:
                raise ValueError(f"streams.{name}.ip {stream.ip} is in neither mta.pool nor mta.infrastructure")
            for one in stream.more:
                if str(one.ip) not in self.mta.pool_addresses():
                    raise ValueError(f"streams.{name}.more: {one.ip} is not in mta.pool")
            if stream.listmonk is not None and stream.listmonk not in self.listmonk:
                raise ValueError(f"streams.{name}.listmonk is {stream.listmonk!r}, which is no entry of [listmonk]")
        for name in self.listmonk:
            senders = {stream.sender for stream in self.streams.values() if stream.listmonk == name}
            if len(senders) > 1:
                raise ValueError(f"listmonk.{name} has one From, and its streams have {len(senders)} senders")
        if self.gates.unattended and not self.rehearsal:
            raise ValueError("gates.unattended is true, but this estate is no rehearsal: a person has to decide")
        return self

    def kept_addresses(self) -> frozenset[str]:
        """Addresses that must stay bound: those of the streams and the infrastructure."""
        streams = {str(ip) for stream in self.streams.values() for ip in (stream.ip, *(one.ip for one in stream.more))}
        return frozenset(streams | {str(address) for address in self.mta.infrastructure})

    def senders(self, domain: str) -> dict[str, str]:
        """Address -> who sends from it in the name of this domain or of one below it: a stream, or a stream's relay."""
        found: dict[str, str] = {}
        for name, stream in self.streams.items():
            if not f".{stream.domain}".endswith(f".{domain}"):
                continue
            relay = next((host for host in self.hosts.values() if host.name == stream.relay.partition(":")[0]), None)
            if relay is not None:
                found[str(relay.address)] = f"relay of stream {name}"
            found[str(stream.ip)] = f"stream {name}"
            found |= {str(one.ip): f"stream {name}, one more address" for one in stream.more}
        return found

    def own_senders(self) -> dict[str, str]:
        """Address -> who sends from it in the name of any of our domains."""
        return {ip: who for domain in self.domains for ip, who in self.senders(domain).items()}

    def published_policies(self) -> dict[str, str]:
        """Domain -> the policy (p) of its DMARC record."""
        found = {}
        for name, domain in self.domains.items():
            tags = dict(part.strip().partition("=")[::2] for part in domain.dmarc.split(";"))
            found[name] = tags.get("p", "").strip().lower()
        return found

    def kept_transports(self) -> frozenset[str]:
        streams = {stream.transport for stream in self.streams.values() if stream.transport}
        more = {one.transport for stream in self.streams.values() for one in stream.more}
        return frozenset(streams | more | set(self.mta.keep_transports))


def load(path: Path) -> Estate:
    """Read and validate an estate file.

    Raises EstateError naming the file, the key and the nearest known key or the allowed values.
    """
    data = _read(path, seen=())
    try:
        return Estate.model_validate(data)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise EstateError(
            f"{path}: {len(lines)} problem(s)\n" + "\n".join(f"  - {line}" for line in lines),
            next_step="correct the file; `runbook schema` prints what it may hold",
        ) from None


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise EstateError(f"{path}: extends itself", next_step="remove one of the `extends` lines")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.toml"))) or "none"
        raise EstateError(f"no estate file {path}", next_step=f"name one of: {known}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EstateError(f"{path} is not TOML: {error}", next_step="correct that line") from None
    base = data.pop("extends", None)
    return data if base is None else _overlay(_read(path.parent / str(base), (*seen, path.resolve())), data)


def _overlay(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, key = problem["loc"]
        near = difflib.get_close_matches(str(key), _fields_at(tuple(parents)), n=1, cutoff=0.5)
        return f"{where}: unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
    if not where:
        return str(problem["msg"]).removeprefix("Value error, ")
    return (
        f"{where}: {problem['msg']} (is {problem['input']!r})" if problem["type"] != "missing" else f"{where}: missing"
    )


def _fields_at(location: tuple[str | int, ...]) -> list[str]:
    """Names of the keys that the table at `location` may hold."""
    model: Any = Estate
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[str(part)].annotation
        elif (arguments := get_args(model)) and arguments:
            model = arguments[-1] if arguments[-1] is not Ellipsis else arguments[0]
        while not isinstance(model, type) and (inner := _inner_model(model)) is not None:
            model = inner
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _inner_model(annotation: Any) -> Any:
    models = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return models[0] if "None" in str(annotation) and models else None
