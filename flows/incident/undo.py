"""Undo a finished run.

When     a run finished, was confirmed, and turns out to be wrong after all.
Changes  on the MTA, what that run changed and nothing else: addresses, files and the running Postfix are again as they
         were before it. Not if one of them was changed since: what differs is named, and nothing is done.
Undo     by itself within the guard's minutes unless the verification passes; later by undoing this run in its turn.
Needs    SSH to the MTA as root, and the run's backups as it left them.
"""

from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State

from deliverability import rollback
from flows.conduct import conduct
from flows.guarded import guarding
from flows.procedure import Run
from flows.tasks import observe_footprint, observe_past_run
from flows.verification import log_position, verify_footprint
from reports.record import Record


@flow(name="undo", persist_result=True, result_serializer="json", validate_parameters=True)
def undo(run: str, estate: str = "performancewest", unattended: bool = False) -> State[Record]:
    """Take a finished run back, from its plan and its backups.

    `run` is its name (`runbook reports`) or the beginning of it; `estate` names a file in estates/; `unattended` is for
    the rehearsal alone.
    """
    again = f"runbook undo {run}"
    return conduct(rollback.PROCEDURE, estate, unattended, partial(take_back, name=run), again)


def take_back(run: Run, name: str) -> None:
    # Settle: what a run that died left behind is undone first.
    run.settle()

    # Look: what the host remembers of that run, and how it is now. Nothing written.
    past = observe_past_run(run.source, name, run.moment("before the plan"))
    before = observe_footprint(run.source, run.moment("before the plan"))
    run.observed(*rollback.summary(past, before))

    # Plan: refuses where the host has moved on since, and shows every file and address that comes back or goes.
    plan = run.publish(rollback.plan(past, before, run.estate))
    if plan.empty:
        return run.finish(f"the host is as it was before run {past.run}")

    # MANUAL: a person approves exactly this plan, by its digest.
    run.gate()

    # Change: ours alone, still the plan that was approved, with an undo of this undo armed before the first write.
    with run.hold() as host:
        past = observe_past_run(run.source, past.run, run.moment("after the approval"))
        now = observe_footprint(run.source, run.moment("after the approval"))
        run.confirm_unchanged(rollback.plan(past, now, run.estate))
        with guarding(run, host) as change:
            since = log_position(host, run.estate)
            change.apply()

            # Prove: over a new connection, and at a receiver.
            run.verify(verify_footprint(plan, run.source, since, partial(rollback.findings, past)))

    # Keep: the files that are back as snapshots, and the report.
    run.keep_snapshots()
    return run.finish(rollback.done(past, plan))
