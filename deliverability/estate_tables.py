"""The tables of the estate file, but for the file itself."""

from collections.abc import Mapping
from email.utils import parseaddr
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def expand(text: str) -> tuple[str, ...]:
    first, _, last = text.partition("-")
    low = IPv4Address(first.strip())
    high = IPv4Address(last.strip()) if last else low
    if high < low or int(high) - int(low) > 1023:
        raise ValueError(f"{text!r} is no range of at most 1024 addresses, first-last")
    return tuple(str(IPv4Address(number)) for number in range(int(low), int(high) + 1))


def _known_ranges(ranges: tuple[str, ...]) -> tuple[str, ...]:
    for text in ranges:
        expand(text)
    return ranges


AddressRanges = Annotated[tuple[str, ...], AfterValidator(_known_ranges)]
"""IPv4 addresses and ranges, each `a.b.c.d` or `a.b.c.d-e.f.g.h` (both ends included)."""


class Host(Table):
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


class Submission(Table):
    """Where a stream's application hands its mail in, as seen from the MTA host itself."""

    host: str = "127.0.0.1"
    port: int = Field(25, ge=1, le=65535)


class Egress(Table):
    """One more address that a stream may send from, after a re-expansion."""

    ip: IPv4Address
    helo: str = Field(description="PTR and HELO name of `ip`")
    transport: str = Field(description="master.cf service that sends from it")


class Stream(Table):
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


class Listmonk(Table):
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


class Dormant(Table):
    """What was taken out of service: for the re-expansion, one address at a time, when reputation has recovered."""

    helo: Mapping[str, str] = Field(description="Address -> its PTR and HELO name")
    transports: tuple[str, ...]
    ports: tuple[int, ...]


class Mta(Table):
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
        return frozenset(address for text in self.pool for address in expand(text))


class Dkim(Table):
    selector: str
    bits: int = 2048


class Domain(Table):
    spf: str
    dmarc: str
    dkim: tuple[Dkim, ...] = ()
    mx: tuple[str, ...] = ()
    verification: Mapping[str, str] = Field(default_factory=dict, description="Ownership TXT values by provider")


class Dns(Table):
    """The hidden master, who owns the zone there, its slaves, and the resolvers that tell what the world sees."""

    master: str = Field(description="Entry of [hosts]")
    zone: str
    zone_owner: str
    slaves: tuple[str, ...]
    resolvers: tuple[IPv4Address, ...]
    rebuild_seconds: int = 30
    slave_refresh_seconds: int = 7200


class MailAdmin(Table):
    host: str = Field(description="Entry of [hosts]")
    command: tuple[str, ...]
    sudo_user: str = "zextras"
    lists: Mapping[str, tuple[str, ...]] = Field(description="Distribution lists that must exist, with their members")
    accounts: tuple[str, ...] = ()


class FeedbackLoop(Table):
    provider: str
    url: str
    keyed_by: str = Field(description="ip or dkim-domain")
    members: Mapping[str, str] = Field(description="Registered name or domain -> address or domain")
    complaints_to: str
    verify_at: tuple[str, ...] = ()


class Console(Table):
    """A provider's console that shows reputation; a person logs in."""

    provider: str
    url: str
    domain: str


class Dmarc(Table):
    """The mailbox of DMARC reports, where they are stored, and what a person is told of them."""

    mailbox: str
    imap: str = Field(description="Prefix of the environment variables with HOST, PORT, USER and PASS")
    env_file: str = Field(
        "", pattern=r"^(file:.+)?$", description="file:PATH with NAME=VALUE lines of these variables (mode 600)"
    )
    folder: str = "INBOX"
    authority: str = Field(
        "",
        pattern=r"^(file:.+)?$",
        description="file:PATH of the CA of the IMAP server's certificate; none: the system's",
    )
    authserv_ids: tuple[str, ...] = Field((), description="Names under which our MX writes Authentication-Results")
    store: str = Field("", description="Where: a SQLAlchemy URL, $NAME is expanded; none: var/dmarc.sqlite")
    min_pass_percent: float = Field(95, gt=0, le=100)
    min_messages: int = Field(100, ge=1, description="From one own address, below which its rate says nothing")
    spoof_messages: int = Field(20, ge=1)
    summary_days: int = Field(7, ge=1, le=366)
    silence_hours: float = Field(36, gt=0)
    reporter_silence_days: float = Field(3, gt=0)
    max_unusable_percent: float = Field(10, ge=0, le=100)
    forwarders: tuple[IPv4Network | IPv6Network, ...] = Field((), description="Who sends on what we sent, by your word")
    cron: str


class Scrub(Table):
    databases: tuple[str, ...]
    cron: str
    exclusions: str = Field(description="Authoritative exclusion list")
    groups: tuple[str, ...]
    segments: str


class Volume(Table):
    window_seconds: int
    messages_per_window: int


class Thresholds(Table):
    hard_bounces_to_blocklist: int
    bounces_5_1_1_per_day: int
    max_spf_lookups: int = 10


class Probe(Table):
    """An address we may send a test message to, and where we can see it arrive.

    `mailbox` is `maildir:PATH` of the receiver's spool, or nothing: then the MTA's own log is the only witness.
    """

    receiver: str
    address: str
    mailbox: str = ""


class Gates(Table):
    timeout_hours: float = Field(72, gt=0, le=24 * 30)
    unattended: bool = Field(False, description="Accept a run without a person; only a rehearsal may say true")


class Guard(Table):
    minutes: float = Field(10, ge=0.1, le=120, description="The host undoes an unconfirmed change after this long")


class Notifications(Table):
    urls: str = Field("", description="file:PATH with one apprise address a line (mode 600): who is told in need")


class Reports(Table):
    retention_days: int = 400
