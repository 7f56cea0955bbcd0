"""The proof that a run is taken back which changed files or a From. That its records are is dns.py's."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.listmonk import Listmonk
from blocks.ssh_host import SshHost
from deliverability.finding import Finding, judged
from deliverability.plan import Plan
from flows.opening import open_estate
from flows.proofs.verification import bind_warnings, mail, now
from flows.steps.tasks import RETRIED


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_senders_back(plan: Plan, estate: str) -> list[Finding]:
    """That each listmonk sends again with the From it had."""
    opened = open_estate(estate)
    found = []
    with SshHost.of(opened.mta.host, opened.hosts[opened.mta.host]).observe() as host:
        for change in plan.senders():
            after = Listmonk.of(change.instance, opened.listmonk[change.instance]).read(host)
            good = after.loaded and after.from_email == change.after
            found.append(judged(f"{change.instance}: From in force", good, change.after, after.from_email, host.name))
    return [finding.model_copy(update={"at": now()}) for finding in found]


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_files_back(plan: Plan, estate: str, since: int) -> list[Finding]:
    """That the files are as before, and that mail on each stream arrives."""
    opened = open_estate(estate)
    with SshHost.of(opened.mta.host, opened.hosts[opened.mta.host]).operate() as host:
        files = [
            judged(edit.path, host.run("cat", "--", edit.path).stdout == edit.after, "as before", "read", host.name)
            for edit in plan.edits()
        ]
        return [
            *(finding.model_copy(update={"at": now()}) for finding in files),
            *(mail(host, opened, name, stream, since)[0] for name, stream in opened.streams.items()),
            bind_warnings(host, opened, since),
        ]
