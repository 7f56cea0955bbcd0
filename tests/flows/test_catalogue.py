"""The procedures that a person can name."""

import subprocess
import sys

import pytest

from deliverability.errors import RunbookError
from flows import catalogue

HEAVY = {"pandas", "matplotlib", "sqlalchemy"}


@pytest.mark.parametrize("name", catalogue.PROCEDURES)
def test_each_is_found_by_its_own_name(name: str) -> None:
    assert catalogue.find(name).name == name


def test_another_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(RunbookError, match=r"no procedure 'dmarc'\n  next: name one of: dmarc-daily, ip-reexpansion, "):
        catalogue.find("dmarc")


def test_what_one_procedure_needs_is_not_imported_for_another() -> None:
    """Two seconds of every command, at the terminal and in the tests."""
    code = f"import sys, flows.catalogue; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
