"""Where an estate's reports are kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from deliverability.errors import StoreError
from deliverability.estate import Estate
from reports import store


def store_url(estate: Estate) -> str:
    """As SQLAlchemy has it. Raises StoreError."""
    url = os.path.expandvars(estate.dmarc.store)
    if "$" in url:
        raise StoreError(
            f"dmarc.store is {estate.dmarc.store}, which the environment does not have", next_step="set it"
        )
    return url or f"sqlite:///{store.var() / f'dmarc-{estate.name}.sqlite'}"


@contextmanager
def opened_store(estate: Estate, dry_run: bool) -> Iterator[str]:
    """The URL of the estate's store; of a dry run that of one that is thrown away after it. Raises StoreError."""
    if not dry_run:
        yield store_url(estate)
        return
    with TemporaryDirectory(prefix="runbook-dry-run-") as folder:
        yield f"sqlite:///{Path(folder) / 'dmarc.sqlite'}"
