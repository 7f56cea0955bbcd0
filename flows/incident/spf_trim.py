"""SPF trim.

When     the SPF record lists addresses that do not send: each is one more that may be used in your name, and a long
         list beside little mail looks like snowshoe spam.
Changes  on the DNS master: the SPF record of the zone and of each sending subdomain, to the smallest that covers
         exactly who sends: the streams and their relays. Refused if anybody else was seen to send.
Undo     by itself if the proof fails: the old record is published again, under a new serial. Later by
         `runbook undo`.
Needs    SSH to the DNS master as root and to the MTA; every stream of the estate named in its file.
"""

from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State

from deliverability.dns import spf_plan
from flows.conduct import conduct, dns_master
from flows.procedure import Run
from flows.proofs.dns import verify_spf
from flows.steps.forward import publishing
from flows.steps.tasks import observe_spf
from reports.record import Record


@flow(name="spf-trim", persist_result=True, result_serializer="json", validate_parameters=True)
def spf_trim(estate: str = "performancewest", merge: bool = False, unattended: bool = False) -> State[Record]:
    """Trim the SPF records to the addresses that send.

    `estate` names a file in estates/; `merge` makes one record where a name has several; `unattended` is for the
    rehearsal alone.
    """
    again = f"runbook run {spf_plan.PROCEDURE}{' --set merge=true' if merge else ''}"
    return conduct(spf_plan.PROCEDURE, estate, unattended, partial(trim, merge=merge), again, on=dns_master)


def trim(run: Run, merge: bool) -> None:
    # Look: the zone at its master, what every server shows, and who sent by the mail log. Nothing written.
    before = observe_spf(run.source, run.moment("before the plan"))
    run.observed(*spf_plan.summary(before))

    # Plan: refuses if a live sender would be lost, and shows every term that goes.
    plan = run.publish(spf_plan.plan(before, run.estate, merge))
    if plan.empty:
        return run.finish("nothing to do: the records cover exactly who sends")

    # MANUAL: a person approves exactly this plan, by its digest.
    run.gate()

    # Change: ours alone, still the plan that was approved, each write proved by listing the zone.
    with run.hold() as host:
        now = observe_spf(run.source, run.moment("after the approval"))
        run.confirm_unchanged(spf_plan.plan(now, run.estate, merge))
        with publishing(run, host) as records:
            records.apply(plan.records())

            # Prove: at the master, every slave and the resolvers, and by asking as a receiver does.
            run.verify(verify_spf(plan, run.source))

    return run.finish(spf_plan.done(plan))
