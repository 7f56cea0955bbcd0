"""Where the tests are started from must not matter."""

import signal

import pytest

# A shell without job control starts what it puts in the background deaf to Ctrl-C, and every child inherits that: here
# they are to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long is begun first, or one worker has it left when the others are done."""
    items.sort(key=lambda item: ("rehearsal" not in item.keywords, "/flows/" not in item.path.as_posix()))
