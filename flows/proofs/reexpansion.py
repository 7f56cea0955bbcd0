"""The proof of an address that came back: the host sends from it. That receivers know it is dns.py's."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks import reexpansion_look
from blocks.ssh_host import SshHost
from deliverability.finding import Finding
from deliverability.plan import Plan
from deliverability.reexpansion import planning
from flows.opening import open_estate
from flows.proofs.verification import bind_warnings, mail, now
from flows.steps.tasks import RETRIED


@task(cache_policy=NO_CACHE, **RETRIED)
def verify_ready(plan: Plan, estate: str, address: str, since: int) -> list[Finding]:
    """That the host is ready to send from the address, and that mail on each stream arrives as before."""
    opened = open_estate(estate)
    what = planning.target(opened, address)
    master = SshHost.of(opened.dns.master, opened.hosts[opened.dns.master])
    with SshHost.of(opened.mta.host, opened.hosts[opened.mta.host]).operate() as host, master.observe() as on_master:
        after = reexpansion_look.read(on_master, host, opened, what)
        return [
            *planning.findings(plan, after, what, now()),
            *(mail(host, opened, name, stream, since)[0] for name, stream in opened.streams.items()),
            bind_warnings(host, opened, since),
        ]
