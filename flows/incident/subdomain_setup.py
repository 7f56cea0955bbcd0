"""Set up a sending subdomain.

When     bulk mail is to get a reputation of its own, apart from the domain that receipts and logins come from.
Changes  on the DNS master: SPF, DKIM, MX and DMARC of the subdomain, as far as they are missing; nothing that is
         published is replaced. On the MTA: a key, OpenDKIM's KeyTable and SigningTable, the lists of senders whose
         bounces are counted, and the From of the streams' listmonks. A key that is there is never overwritten.
Undo     by itself: each part by its own means, the last one first, unless its proof passes. A From that cannot be
         proved goes back alone, for the parts before it harm nobody. Later by `runbook undo`.
Needs    SSH to the DNS master and to the MTA as root; the subdomain and its streams named in the estate file; no
         campaign under way.
"""

from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State

from deliverability.subdomain import planning
from flows.conduct import conduct
from flows.procedure import Run
from flows.proofs.subdomain import refuse_unsound, verify_records, verify_senders, verify_signing
from flows.proofs.verification import log_position
from flows.steps.forward import make_key, publishing, renaming
from flows.steps.guarded import guarding
from flows.steps.tasks import observe_subdomain
from reports.record import Record


@flow(name="subdomain-setup", persist_result=True, result_serializer="json", validate_parameters=True)
def subdomain_setup(
    estate: str = "performancewest", domain: str = "", selector: str = "", unattended: bool = False
) -> State[Record]:
    """Set up a subdomain for bulk mail: records, key, signing and From.

    `estate` names a file in estates/; `domain` one of its domains, by default the only one that has a key there;
    `selector` the name of the key, by default the estate's; `unattended` is for the rehearsal alone.
    """
    said = [f"--set {name}={value}" for name, value in (("domain", domain), ("selector", selector)) if value]
    again = " ".join([f"runbook run {planning.PROCEDURE}", *said])
    return conduct(planning.PROCEDURE, estate, unattended, partial(set_up, domain=domain, selector=selector), again)


def set_up(run: Run, domain: str, selector: str) -> None:
    what = planning.target(run.estate, domain, selector)

    # Settle: what a run that died left behind is undone first.
    run.settle()

    # Look: the zone at its master; key, tables, listmonks and lists of senders at the MTA. Nothing written.
    before = observe_subdomain(run.source, domain, selector, run.moment("before the plan"))
    run.observed(*planning.summary(before, what))

    # Plan: what is missing and nothing else, in an order that is safe at each step.
    plan = run.publish(planning.plan(before, run.estate, what))
    if plan.empty:
        return run.finish(f"nothing to do: {what.domain} is set up")

    # MANUAL: a person approves exactly this plan, by its digest.
    run.gate()

    # Change: both hosts ours alone, still the plan that was approved.
    with run.hold(run.estate.dns.master) as master, run.hold() as host:
        now = observe_subdomain(run.source, domain, selector, run.moment("after the approval"))
        run.confirm_unchanged(planning.plan(now, run.estate, what))
        refuse_unsound(host)

        with run.parts():
            with publishing(run, master) as records:
                # Names first: mail that is signed before its key is published fails everywhere.
                records.apply(make_key(run, host).records())
                run.verify(verify_records(run.source, domain, selector))

                # Then signing, with the undo armed on the host: a bad table would stop all mail.
                with guarding(run, host) as change:
                    since = log_position(host, run.estate)
                    change.apply()
                    run.verify(verify_signing(run.source, domain, selector, since))

            # Last the From: from now on all mail with it is signed.
            with renaming(run, host) as senders:
                senders.apply(plan.senders())
                run.verify(verify_senders(run.source, domain, selector))

    # Keep: the new files as snapshots, what is left for a person, and the report.
    run.record.open_items += planning.manual(what)
    run.keep_snapshots()
    return run.finish(planning.done(plan, what))
