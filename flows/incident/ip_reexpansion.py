"""IP re-expansion.

When     a stream has outgrown its address: more than 80 % of its cap in use, and 14 good days. Never to mend a
         reputation: many addresses with little mail each are what harmed it.
Changes  one address at a time, and 7 days apart. On the DNS master the SPF records of the stream's domains; on the MTA
         the address, its transport as a copy of the stream's own, and the warm-up script, which makes use of it.
Undo     by itself: on the MTA within the guard's minutes, in DNS under a new serial, unless the proof passes. Later by
         the cleanup and the SPF trim, once the estate file does not name it any more.
Needs    SSH to the DNS master and to the MTA as root; the address in `more` of its stream; its PTR and HELO name.
"""

from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State

from deliverability.reexpansion import planning
from flows.conduct import conduct
from flows.procedure import Run
from flows.proofs.dns import verify_spf
from flows.proofs.reexpansion import verify_ready
from flows.proofs.verification import log_position
from flows.steps.forward import publishing
from flows.steps.guarded import guarding
from flows.steps.tasks import observe_reexpansion
from reports.record import Record


@flow(name="ip-reexpansion", persist_result=True, result_serializer="json", validate_parameters=True)
def ip_reexpansion(estate: str = "performancewest", address: str = "", unattended: bool = False) -> State[Record]:
    """Give a stream one sending address back.

    `estate` names a file in estates/; `address` is one that it names in `more` of a stream; `unattended` is for the
    rehearsal alone.
    """
    again = f"runbook run {planning.PROCEDURE} --set address={address}"
    return conduct(planning.PROCEDURE, estate, unattended, partial(expand, address=address), again)


def expand(run: Run, address: str) -> None:
    what = planning.target(run.estate, address)

    # Settle: what a run that died left behind is undone first.
    run.settle()

    # Look: host, log, earlier runs, zone, and the address's names. Nothing written.
    before = observe_reexpansion(run.source, address, run.moment("before the plan"))
    run.observed(*planning.summary(before, what))

    # Plan: refused while it is too early, or while DNS does not know the address.
    plan = run.publish(planning.plan(before, run.estate, what))
    if plan.empty:
        return run.finish(f"nothing to do: {what.address} is back")

    # MANUAL: a person approves exactly this plan, and attests in their name what nobody can measure.
    run.gate()

    # Change: both hosts ours alone, still the plan that was approved.
    with run.hold(run.estate.dns.master) as master, run.hold() as host:
        now = observe_reexpansion(run.source, address, run.moment("after the approval"))
        run.confirm_unchanged(planning.plan(now, run.estate, what))

        with run.parts(), publishing(run, master) as records:
            # Receivers first: mail from an address that SPF does not know yet harms at once.
            records.apply(plan.records())
            run.verify(verify_spf(plan, run.source))

            # Then the host, the warm-up script last, with the undo armed.
            with guarding(run, host) as change:
                since = log_position(host, run.estate)
                change.apply()
                run.verify(verify_ready(plan, run.source, address, since))

    # Keep: the new files as snapshots, what is left for a person, and the report.
    run.record.open_items += planning.manual(before, what)
    run.keep_snapshots()
    return run.finish(planning.done(what))
