"""Opening an estate: the one place where its file is found and where a rehearsal is kept apart from the world."""

from pathlib import Path

import rehearsal
from deliverability.estate import Estate, load

ESTATES = Path(__file__).resolve().parent.parent / "estates"


def estate_file(name: str) -> Path:
    """A path as it is, a name as estates/NAME.toml."""
    return Path(name) if name.endswith(".toml") else ESTATES / f"{name}.toml"


def open_estate(name: str) -> Estate:
    """Load an estate. A rehearsal has the addresses of the real one: it is opened only where nothing can leave.

    Raises EstateError, RehearsalError.
    """
    estate = load(estate_file(name))
    if estate.rehearsal:
        rehearsal.assert_isolated()
    return estate
