"""Snowshoe cleanup.

When     receivers throttle the domain (Microsoft 451 4.7.500, Gmail "low reputation") and the host sends, or could
         send, from more addresses than its streams use: many addresses with little mail each look like snowshoe spam.
Changes  on the MTA: master.cf (transports, submission ports), main.cf (their parameters), the rehabilitation cron job,
         /etc/network/interfaces and the live addresses. Never an address, transport or port that a stream uses.
Undo     by itself within the guard's minutes unless the verification passes; later from /root/*.bak_snowshoe_*.
Needs    SSH to the MTA as root, a published SPF that is trimmed already, no queued mail for what goes.
"""

from prefect import flow
from prefect.client.schemas.objects import State

from deliverability.footprint import planning
from flows.conduct import conduct
from flows.procedure import Run
from flows.proofs.verification import log_position, verify_footprint
from flows.steps.guarded import guarding
from flows.steps.tasks import observe_footprint
from reports.record import Record


@flow(name="snowshoe-cleanup", persist_result=True, result_serializer="json", validate_parameters=True)
def snowshoe_cleanup(estate: str = "performancewest", unattended: bool = False) -> State[Record]:
    """Remove the transports, ports and addresses that no stream uses.

    `estate` names a file in estates/; `unattended` is for the rehearsal alone.
    """
    return conduct(planning.PROCEDURE, estate, unattended, cleanup)


def cleanup(run: Run) -> None:
    # Settle: what a run that died left behind is undone first.
    run.settle()

    # Look: one connection, nothing written.
    before = observe_footprint(run.source, run.moment("before the plan"))
    run.observed(*planning.summary(before))

    # Plan: refuses what is not safe, and shows every service, parameter, line and address that goes.
    plan = run.publish(planning.plan(before, run.estate))
    if plan.empty:
        return run.finish("nothing to do: the host has only what its streams use")

    # MANUAL: a person approves exactly this plan, by its digest.
    run.gate()

    # Change: ours alone, still the plan that was approved, with the undo armed on the host before the first write.
    with run.hold() as host:
        now = observe_footprint(run.source, run.moment("after the approval"))
        run.confirm_unchanged(planning.plan(now, run.estate))
        with guarding(run, host) as change:
            since = log_position(host, run.estate)
            change.apply()

            # Prove: over a new connection, and at a receiver.
            run.verify(verify_footprint(plan, run.source, since))

    # Keep: the new files as snapshots, and the report.
    run.keep_snapshots()
    return run.finish(planning.done(plan))
