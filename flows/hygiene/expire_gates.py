"""Expire gates.

When     every five minutes, by its schedule.
Changes  nothing on any host: it answers `reject` for runs whose gate nobody answered in time, so that they end with a
         report. (Prefect's own limit would end them without one.)
Undo     none needed: a rejected run changed nothing, and the procedure can be started again.
Needs    the Prefect server.
"""

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed

from deliverability.errors import GateError
from flows.gates import questions
from flows.gates.gate import TIMEOUT
from flows.gates.questions import Answer


@flow(name="expire-gates")
def expire_gates() -> State[str]:
    """Reject every gate that is past its deadline; the names of the runs are the message of the final state."""
    expired = []
    with get_client(sync_client=True) as client:
        for waiting in questions.waiting(client):
            if not waiting.overdue:
                continue
            try:
                questions.deliver(client, waiting, Answer(name=TIMEOUT, reason="nobody answered in time"))
            except GateError as error:  # someone was faster
                get_run_logger().info(str(error))
                continue
            expired.append(waiting.name)
    return Completed(message=f"{len(expired)} overdue: {', '.join(expired)}" if expired else "none overdue")
