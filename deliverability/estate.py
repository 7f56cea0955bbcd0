"""The estate file: facts and policy of one operator's mail, without secrets.

TOML, read with tomllib. `extends = "other.toml"` takes another estate and overlays this file's tables on it.
"""

import difflib
import tomllib
from collections.abc import Mapping
from email.utils import parseaddr
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from deliverability.errors import EstateError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _expand(text: str) -> tuple[str, ...]:
    first, _, last = text.partition("-")
    low = IPv4Address(first.strip())
    high = IPv4Address(last.strip()) if last else low
    if high < low or int(high) - int(low) > 1023:
        raise ValueError(f"{text!r} is no range of at most 1024 addresses, first-last")
    return tuple(str(IPv4Address(number)) for number in range(int(low), int(high) + 1))


def _known_ranges(ranges: tuple[str, ...]) -> tuple[str, ...]:
    for text in ranges:
        _expand(text)
    return ranges


AddressRanges = Annotated[tuple[str, ...], AfterValidator(_known_ranges)]
"""IPv4 addresses and ranges, each `a.b.c.d` or `a.b.c.d-e.f.g.h` (both ends included)."""


class Host(_Table):
    """How to reach a host over SSH. `key` and `host_key` are references to files, never secrets themselves."""

    name: str = Field(description="The host's own full name")
    address: IPv4Address
    port: int = Field(22, ge=1, le=65535)
    user: str = "root"
    key: str = Field("file:~/.ssh/id_ed25519", description="file:PATH of the private key; $NAME is expanded")
    host_key: str = Field(
        "file:~/.ssh/known_hosts",
        description="The pinned key: 'ssh-ed25519 AAAA...', or file:PATH in known_hosts format",
    )


class Submission(_Table):
    """Where a stream's application hands its mail in, as seen from the MTA host itself."""

    host: str = "127.0.0.1"
    port: int = Field(25, ge=1, le=65535)


class Egress(_Table):
    """One more address that a stream may send from, after a re-expansion."""

    ip: IPv4Address
    helo: str = Field(description="PTR and HELO name of `ip`")
    transport: str = Field(description="master.cf service that sends from it")


class Stream(_Table):
    """One kind of mail with its own sending address and identity."""

    ip: IPv4Address
    helo: str = Field(description="PTR and HELO name of `ip`")
    transport: str | None = Field(None, description="master.cf service that sends it; none: the default transport")
    submission: Submission | None = Field(None, description="none: not handed to this MTA (a relay elsewhere)")
    relay: str = ""
    sender: str = Field("", description="From header of its mail")
    reply_to: str = ""
    more: tuple[Egress, ...] = Field((), description="Addresses it has got back, or is to get back, one at a time")
    envelope: str = Field("", description="Envelope sender for probes; default: the address in `sender`")
    listmonk: str | None = Field(None, description="Its entry of [listmonk]")
    watched_senders: str = Field(
        "", description="File on the MTA with the envelope senders its bounce watcher tracks, one a line"
    )

    @property
    def domain(self) -> str:
        """Of the address in its From header, "" if it has none."""
        return parseaddr(self.sender)[1].rpartition("@")[2].lower()

    @property
    def envelope_sender(self) -> str:
        return self.envelope or parseaddr(self.sender)[1]


class Listmonk(_Table):
    """One listmonk instance on the MTA host. Without `api_user`, its settings are changed in its database."""

    database: str = Field(pattern=r"^[a-z_][a-z0-9_]*$", description="Reached with psql as the user postgres there")
    service: str = Field(pattern=r"^[A-Za-z0-9:_.@-]+\.service$", description="Its systemd unit")
    address: str = Field(
        pattern=r"^[^:/\s]+:\d+$", description="HOST:PORT of its API, as seen from the MTA host itself"
    )
    api_user: str = Field("", pattern=r"^[^:\s]*$", description="A user of the type api, with settings:manage")
    api_token: str = Field(
        "", pattern=r"^(file:.+)?$", description="file:PATH of its token (mode 600); $NAME is expanded"
    )

    @model_validator(mode="after")
    def _whole(self) -> "Listmonk":
        if bool(self.api_user) != bool(self.api_token):
            raise ValueError("api_user and api_token go together: name both, or neither")
        return self


class Dormant(_Table):
    """What was taken out of service: for the re-expansion, one address at a time, when reputation has recovered."""

    helo: Mapping[str, str] = Field(description="Address -> its PTR and HELO name")
    transports: tuple[str, ...]
    ports: tuple[int, ...]


class Mta(_Table):
    """The sending host: which entry of [hosts] it is, its files, and the addresses a procedure may touch."""

    host: str
    interface: str = "eth0"
    infrastructure: tuple[IPv4Address, ...] = Field(description="Bound addresses that are no sending addresses")
    pool: AddressRanges = Field(description="The sending addresses this operator owns: all that a plan may remove")
    keep_transports: tuple[str, ...] = Field(("smtp", "relay"), description="SMTP clients that belong to no stream")
    master_cf: str = "/etc/postfix/master.cf"
    main_cf: str = "/etc/postfix/main.cf"
    interfaces: str = "/etc/network/interfaces"
    mail_log: str = "/var/log/mail.log"
    rehab_cron: str = "/etc/cron.d/pw-ip-rehab"
    backups: str = Field("/root", description="Directory on the host for backups")
    warmup_script: str = Field("", description="Has the transports in use, ALL=(...); one on the host begins with /")
    dormant: Dormant | None = None

    def pool_addresses(self) -> frozenset[str]:
        return frozenset(address for text in self.pool for address in _expand(text))


class Dkim(_Table):
    selector: str
    bits: int = 2048


class Domain(_Table):
    spf: str
    dmarc: str
    dkim: tuple[Dkim, ...] = ()
    mx: tuple[str, ...] = ()
    verification: Mapping[str, str] = Field(default_factory=dict, description="Ownership TXT values by provider")


class Dns(_Table):
    """The hidden master, who owns the zone there, its slaves, and the resolvers that tell what the world sees."""

    master: str = Field(description="Entry of [hosts]")
    zone: str
    zone_owner: str
    slaves: tuple[str, ...]
    resolvers: tuple[IPv4Address, ...]
    rebuild_seconds: int = 30
    slave_refresh_seconds: int = 7200


class MailAdmin(_Table):
    host: str = Field(description="Entry of [hosts]")
    command: tuple[str, ...]
    sudo_user: str = "zextras"
    lists: Mapping[str, tuple[str, ...]] = Field(description="Distribution lists that must exist, with their members")
    accounts: tuple[str, ...] = ()


class FeedbackLoop(_Table):
    provider: str
    url: str
    keyed_by: str = Field(description="ip or dkim-domain")
    members: Mapping[str, str] = Field(description="Registered name or domain -> address or domain")
    complaints_to: str
    verify_at: tuple[str, ...] = ()


class Console(_Table):
    """A provider's console that shows reputation; a person logs in."""

    provider: str
    url: str
    domain: str


class Dmarc(_Table):
    mailbox: str
    imap: str = Field(description="Prefix of the environment variables with HOST, PORT, USER and PASS")
    database: str
    min_pass_percent: float
    spoof_messages: int
    summary_days: int
    cron: str


class Scrub(_Table):
    databases: tuple[str, ...]
    cron: str
    exclusions: str = Field(description="Authoritative exclusion list")
    groups: tuple[str, ...]
    segments: str


class Volume(_Table):
    window_seconds: int
    messages_per_window: int


class Thresholds(_Table):
    hard_bounces_to_blocklist: int
    bounces_5_1_1_per_day: int
    max_spf_lookups: int = 10


class Probe(_Table):
    """An address we may send a test message to, and where we can see it arrive.

    `mailbox` is `maildir:PATH` of the receiver's spool, or nothing: then the MTA's own log is the only witness.
    """

    receiver: str
    address: str
    mailbox: str = ""


class Gates(_Table):
    timeout_hours: float = Field(72, gt=0, le=24 * 30)
    unattended: bool = Field(False, description="Accept a run without a person; only a rehearsal may say true")


class Guard(_Table):
    minutes: float = Field(10, ge=0.1, le=120, description="The host undoes an unconfirmed change after this long")


class Notifications(_Table):
    urls: str = Field("", description="file:PATH with one apprise address a line (mode 600): who is told in need")


class Reports(_Table):
    retention_days: int = 400


class Estate(_Table):
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
