"""The proof of a change: a fresh look over a new connection, and test messages seen where the world sees them."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks import mta, probe
from blocks.resolver import PublicResolver
from blocks.ssh_host import SshHost
from blocks.ssh_session import Reader, Writer
from deliverability.errors import HostError
from deliverability.estate import Estate
from deliverability.estate_tables import Probe, Stream
from deliverability.finding import Finding, Verdict
from deliverability.footprint import proof
from deliverability.footprint.observation import Footprint
from deliverability.plan import Plan
from deliverability.postfix import mail_log
from flows.opening import open_estate
from flows.steps.tasks import RETRIED

Prove = Callable[[Plan, Footprint, Estate, str], list[Finding]]
"""What a procedure says about a look at the host after its plan; the text is the moment of the look."""


def log_position(host: Reader, estate: Estate) -> int:
    """How long the mail log is now: what comes later belongs to the change."""
    return probe.log_size(host, estate.mta.mail_log)


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_footprint(plan: Plan, estate: str, since: int, prove: Prove = proof.findings) -> list[Finding]:
    """Everything that must be true now: the host's state, mail on each stream, and a quiet log since `since`."""
    opened = open_estate(estate)
    with SshHost.of(opened.mta.host, opened.hosts[opened.mta.host]).operate() as host:
        after = mta.read_footprint(host, opened, PublicResolver.of(opened))
        return [
            *prove(plan, after, opened, now()),
            _postfix_check(host),
            *(mail(host, opened, name, stream, since)[0] for name, stream in opened.streams.items()),
            bind_warnings(host, opened, since),
        ]


def _postfix_check(host: Writer) -> Finding:
    result = host.run("postfix", "check", check=False)
    said = f"exit {result.exit_code}"
    verdict = Verdict.OK if result.exit_code == 0 else Verdict.FAIL
    return Finding(check="postfix check", verdict=verdict, expected="exit 0", observed=said, where=host.name, at=now())


def mail(host: Writer, estate: Estate, name: str, stream: Stream, since: int) -> tuple[Finding, probe.Sighting | None]:
    """Send one message on a stream and see where it arrives, and from whom."""
    check = f"mail of stream {name}"
    if stream.submission is None:
        via = f"it leaves through {stream.relay}, which this procedure does not touch"
        return Finding(check=check, verdict=Verdict.NOT_APPLICABLE, observed=via, at=now()), None
    target = estate.probes[sorted(estate.streams).index(name) % len(estate.probes)]
    try:
        token = f"probe-{uuid4()}"
        queue_id = probe.send(host, name, stream, target, token)
        seen = probe.watch(host, target, token, queue_id, estate.mta.mail_log, since)
    except HostError as error:
        failed = Finding(check=check, verdict=Verdict.FAIL, expected=_wanted(stream), observed=error.fact, at=now())
        return failed, None
    return _judge(check, stream, target, seen), seen


def _judge(check: str, stream: Stream, target: Probe, seen: probe.Sighting | None) -> Finding:
    wanted = _wanted(stream) if target.mailbox else f"sent by transport {stream.transport}, over IPv4"
    if seen is None:
        late = f"not seen within {probe.ARRIVAL_SECONDS:g} s at {target.address}"
        return Finding(
            check=check, verdict=Verdict.FAIL, expected=wanted, observed=late, where=target.receiver, at=now()
        )
    if seen.transport:
        good = seen.transport == stream.transport and "." in seen.relay
        observed = f"transport {seen.transport} to {seen.relay}; address and HELO were not seen. {seen.note}"
    else:
        good = (seen.ip, seen.helo) == (str(stream.ip), stream.helo)
        observed = f"from {seen.ip}, HELO {seen.helo} {seen.note}".rstrip()
    verdict = Verdict.OK if good else Verdict.FAIL
    return Finding(check=check, verdict=verdict, expected=wanted, observed=observed, where=seen.where, at=now())


def _wanted(stream: Stream) -> str:
    return f"from {stream.ip}, HELO {stream.helo}, transport {stream.transport}"


def bind_warnings(host: Reader, estate: Estate, since: int) -> Finding:
    """Postfix that cannot bind its address sends from another one and says sent: only this line tells."""
    lost = mail_log.bind_warnings(probe.log_since(host, estate.mta.mail_log, since))
    return Finding(
        check="mail sent from another address than planned",
        verdict=Verdict.FAIL if lost else Verdict.OK,
        expected="no bind warning since the change",
        observed=", ".join(sorted(set(lost))) or "none",
        where=f"log of {host.name}",
        at=now(),
    )


def now() -> str:
    """The moment of a finding: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
