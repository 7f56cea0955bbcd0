"""What can go wrong with the rehearsal estate. Every message states the fact, then the next step."""


class RehearsalError(Exception):
    """Base of all errors of the rehearsal estate."""


class RehearsalUnavailable(RehearsalError):
    """This machine cannot run the estate as it is now."""


class HostFailed(RehearsalError):
    """A host died, or did not become ready in time. Carries the end of its console."""


class NotIsolated(RehearsalError):
    """The current network namespace has, or may have, a way out to the real network."""
