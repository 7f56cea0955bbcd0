"""Undo a finished run.

When     a run finished, was confirmed, and turns out to be wrong after all.
Changes  what that run changed and nothing else: on the MTA addresses, files, the running services and the From of
         listmonks are again as they were before it, on the DNS master its records. Not if one of them was changed
         since: what differs is named, and nothing is done.
Undo     by itself unless the verification passes: on the MTA within the guard's minutes, in DNS under a new serial;
         later by undoing this run in its turn, or by hand, as its report says.
Needs    SSH to the MTA as root, and the run's backups as it left them; for a run that changed DNS, SSH to the master
         and the run's report.
"""

from functools import partial

from prefect import flow
from prefect.client.schemas.objects import State

from deliverability import rollback, rollback_forward
from flows.conduct import conduct
from flows.procedure import Run
from flows.proofs.dns import verify_spf
from flows.proofs.forward import verify_files_back, verify_senders_back
from flows.proofs.verification import log_position, verify_footprint
from flows.steps.forward import publishing, renaming
from flows.steps.guarded import guarding
from flows.steps.tasks import observe_footprint, observe_forward, observe_past_run
from reports import store
from reports.record import Record
from reports.store import Past


@flow(name="undo", persist_result=True, result_serializer="json", validate_parameters=True)
def undo(run: str, estate: str = "performancewest", unattended: bool = False) -> State[Record]:
    """Take a finished run back, from its plan and its backups.

    `run` is its name (`runbook reports`) or the beginning of it; `estate` names a file in estates/; `unattended` is for
    the rehearsal alone.
    """
    again = f"runbook undo {run}"
    forward = store.plan_of_done(run)
    body = partial(take_back, name=run) if forward is None else partial(take_back_forward, past=forward)
    return conduct(rollback.PROCEDURE, estate, unattended, body, again)


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


def take_back_forward(run: Run, past: Past) -> None:
    # Settle: what a run that died left behind is undone first.
    run.settle()

    # Look: what there is now of all that the run changed, by the plan in its report. Nothing written.
    before = observe_forward(run.source, past.plan, run.moment("before the plan"))
    run.observed(*rollback_forward.summary(past.run, past.plan))

    # Plan: refuses where things have moved on since; the last change is taken back first.
    plan = run.publish(rollback_forward.plan(past.run, past.plan, before, run.estate))
    if plan.empty:
        return run.finish(f"all is as it was before run {past.run}")

    # MANUAL: a person approves exactly this plan, by its digest.
    run.gate()

    # Change: both hosts ours alone, still the plan that was approved.
    with run.hold(run.estate.dns.master) as master, run.hold() as host:
        now = observe_forward(run.source, past.plan, run.moment("after the approval"))
        run.confirm_unchanged(rollback_forward.plan(past.run, past.plan, now, run.estate))

        # First the From, then signing under a guard, and the records last: each needs what comes after it.
        with run.parts():
            with renaming(run, host) as senders:
                senders.apply(plan.senders())
                run.verify(verify_senders_back(plan, run.source))
            if plan.edits():
                with guarding(run, host) as change:
                    since = log_position(host, run.estate)
                    change.apply()
                    run.verify(verify_files_back(plan, run.source, since))
            with publishing(run, master) as records:
                records.apply(plan.records())
                run.verify(verify_spf(plan, run.source))

    # Keep: the files that are back as snapshots, and the report.
    run.keep_snapshots()
    return run.finish(rollback_forward.done(past.run, plan))
