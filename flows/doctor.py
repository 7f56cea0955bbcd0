"""Every connection, key and service an estate needs, as findings. Nothing is changed."""

from collections.abc import Callable
from datetime import UTC, datetime

from blocks.dmarc_store import DmarcStore
from blocks.mailbox import Mailbox
from blocks.notifier import Notifier
from blocks.resolver import PublicResolver
from blocks.ssh_host import SshHost
from blocks.ssh_session import Reader
from deliverability.errors import RunbookError
from deliverability.estate import Estate
from deliverability.finding import Finding, Verdict
from flows.dmarc.stores import store_url


def examine(estate: Estate) -> list[Finding]:
    """SSH with its pinned key and Postfix on the MTA, what the public resolvers say, and what DMARC reports need."""
    return [*_examine_mta(estate), *_examine_dns(estate), *_examine_dmarc(estate), _who_is_told(estate)]


def prefect(healthy: bool) -> Finding:
    """Whether the local Prefect server answers."""
    if healthy:
        return _finding("Prefect server", Verdict.OK, "answers", "127.0.0.1")
    return _finding("Prefect server", Verdict.WARNING, "not running", "127.0.0.1", "runbook up")


def _examine_mta(estate: Estate) -> list[Finding]:
    name = estate.mta.host
    host = SshHost.of(name, estate.hosts[name])
    try:
        with host.observe() as reader:
            return [
                _finding(f"SSH to {name}", Verdict.OK, f"{host.user}@{host.address}:{host.port}, key pinned", name),
                _check(f"Postfix on {name}", name, lambda: _postfix(reader)),
                _check(f"files of {name}", name, lambda: _files(reader, estate)),
                _check(f"clock of {name}", name, lambda: _zone(reader)),
            ]
    except RunbookError as error:
        return [_finding(f"SSH to {name}", Verdict.FAIL, error.fact, name, error.next_step)]


def _examine_dns(estate: Estate) -> list[Finding]:
    resolver = PublicResolver.of(estate)
    return [
        _check(f"SPF of {domain}", ", ".join(resolver.addresses), lambda domain=domain: _spf(resolver, domain))  # type: ignore[misc]
        for domain in estate.domains
    ]


def _examine_dmarc(estate: Estate) -> list[Finding]:
    def mailbox() -> str:
        with Mailbox.of(estate.dmarc).open() as box:
            return f"{len(box.uids())} mails in {estate.dmarc.folder}"

    def store() -> str:
        with DmarcStore(store_url(estate), make=False) as kept:
            return f"{kept.reports()} reports"

    return [
        _check("mailbox of DMARC reports", estate.dmarc.mailbox, mailbox),
        _check("store of DMARC reports", "dmarc.store", store),
    ]


def _who_is_told(estate: Estate) -> Finding:
    check = _check("who is told in need", "here", lambda: f"{Notifier.of(estate).check()} address(es)")
    # It is worth a warning, but nothing that is asked of the estate depends on it.
    return (
        check
        if check.verdict is Verdict.OK or estate.notifications.urls
        else check.model_copy(update={"verdict": Verdict.WARNING})
    )


def _postfix(reader: Reader) -> str:
    return f"running, {len(reader.run('postconf', '-M').stdout.splitlines())} services" if _is_up(reader) else ""


def _is_up(reader: Reader) -> bool:
    status = reader.run("postfix", "status", check=False)
    if status.exit_code != 0:
        raise RunbookError(f"postfix status: {status.stderr.strip()}", next_step="systemctl start postfix, on the host")
    return True


def _files(reader: Reader, estate: Estate) -> str:
    mta = estate.mta
    reader.run("stat", "-L", "-c", "%n", "--", mta.master_cf, mta.main_cf, mta.interfaces, mta.backups, mta.mail_log)
    return "all there"


def _zone(reader: Reader) -> str:
    return f"offset {reader.run('date', '+%z').stdout.strip()}"


def _spf(resolver: PublicResolver, domain: str) -> str:
    found = resolver.authorised([domain])[domain]
    if not found:
        raise RunbookError(f"{domain} publishes no SPF", next_step="publish one")
    return f"authorises {', '.join(found)}"


def _check(check: str, where: str, look: Callable[[], str]) -> Finding:
    try:
        return _finding(check, Verdict.OK, look(), where)
    except RunbookError as error:
        return _finding(check, Verdict.FAIL, error.fact, where, error.next_step)


def _finding(check: str, verdict: Verdict, observed: str, where: str, fix: str = "") -> Finding:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Finding(check=check, verdict=verdict, observed=observed, where=where, fix=fix, at=at)
