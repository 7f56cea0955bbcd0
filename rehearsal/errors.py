"""The rehearsal's part of the project's error tree. That tree needs no set-up either: it is plain Python."""

from deliverability.errors import HostFailed, NotIsolated, RehearsalError, RehearsalUnavailable

__all__ = ["HostFailed", "NotIsolated", "RehearsalError", "RehearsalUnavailable"]
