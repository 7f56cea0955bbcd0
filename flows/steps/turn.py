"""The queue in front of a host: runs of one Prefect server take turns, so that the second waits and is not refused.

The lock on the host is what keeps two runs apart, whoever starts them; this only spares them from meeting there.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists

from blocks import host_lock
from blocks.ssh_session import Reader
from deliverability.errors import Held
from flows.progress import Progress

LEASE_SECONDS = 60
"""The shortest that Prefect allows: a run that is killed keeps its slot for as long."""

LOOK_SECONDS = 2


@contextmanager
def wait(estate: str, host: Reader, seconds: float, progress: Progress) -> Iterator[None]:
    """Wait for this run's turn on a host, at most `seconds`. Raises Held.

    A slot whose host is held by nobody belongs to a run that was killed: nobody waits for its lease to end.
    """
    # A procedure that runs without a server has a Prefect of its own, where nobody else could be waiting.
    if "PREFECT_API_URL" not in os.environ:
        yield
        return
    name = f"{estate}:{host.name}"
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):  # another run makes it too
        client.upsert_global_concurrency_limit_by_name(name, 1)
    slot = ExitStack()
    try:
        began = time.monotonic()
        while not _enter(slot, name):
            holder = host_lock.holder(host)
            if holder is None:
                progress.step("turn", f"the run whose turn it is does not hold {host.name}: going on")
                break
            if time.monotonic() - began > seconds:
                raise Held(f"{host.name} is {holder}", next_step="runbook lock status")
            progress.step("turn", f"waits: {host.name} is {holder}")
        yield
    finally:
        try:
            slot.close()
        except Exception as error:  # it must not take the place of what the run itself has to say
            progress.step("turn", f"could not be given back ({error}); it lapses by itself")


def _enter(slot: ExitStack, name: str) -> bool:
    # A server that dies must not end a change half-way: the lock on the host holds without it.
    turn = concurrency(
        name,
        strict=True,
        timeout_seconds=LOOK_SECONDS,
        lease_duration=LEASE_SECONDS,
        raise_on_lease_renewal_failure=False,
    )
    try:
        slot.enter_context(turn)
    except TimeoutError:
        return False
    return True
