"""The rehearsal estate: the hosts of the runbook on one machine, to try every procedure before it meets the real ones.

Nothing here leaves the machine: the estate's network has no uplink, and whoever is about to contact its addresses can
prove it with `assert_isolated()`.
"""

from rehearsal.errors import HostFailed, NotIsolated, RehearsalError, RehearsalUnavailable
from rehearsal.estate import Estate
from rehearsal.hosts import Host
from rehearsal.inbox import Receiver
from rehearsal.isolation import assert_isolated, enter
from rehearsal.running import RunningEstate
from rehearsal.state import STATE_VARIABLE, running

__all__ = [
    "STATE_VARIABLE",
    "Estate",
    "Host",
    "HostFailed",
    "NotIsolated",
    "Receiver",
    "RehearsalError",
    "RehearsalUnavailable",
    "RunningEstate",
    "assert_isolated",
    "enter",
    "running",
]
