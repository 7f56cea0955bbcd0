"""Who cannot run the rehearsal estate skips its tests, and says why; with RUNBOOK_REHEARSAL=required (CI) they fail."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.ssh_session import Writer
from estates import Desk
from rehearsal import Estate, RehearsalUnavailable
from rehearsal.estate import check_machine


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("rehearsal") is None:
        return
    try:
        check_machine()
    except RehearsalUnavailable as reason:
        if os.environ.get("RUNBOOK_REHEARSAL") == "required":
            pytest.fail(f"RUNBOOK_REHEARSAL=required, but {reason}", pytrace=False)
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with Estate() as started:
        yield started


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def writer(desk: Desk) -> Iterator[Writer]:
    with desk.connected(desk.host().operate()) as writer:
        yield writer
