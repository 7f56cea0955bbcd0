"""Host names of addresses, for people: asked once a month at most, never while reports are read."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from dns import reversename

from blocks.dmarc_store import DmarcStore
from blocks.resolver import PublicResolver
from deliverability.dmarc.values import line
from deliverability.errors import LookupFailed

AT_ONCE = 8


def pointers(store: DmarcStore, resolver: PublicResolver, sources: Iterable[str]) -> dict[str, str]:
    """Address -> its PTR name, "" if it has none; addresses that nobody answers for now are left out."""
    wanted = list(sources)
    known = store.pointers(wanted)
    fresh = [source for source in wanted if source not in known]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(fresh, pool.map(lambda source: _pointer(resolver, source), fresh), strict=True))
    found = {source: name for source, name in answers.items() if name is not None}
    store.keep_pointers(found)
    return known | found


def _pointer(resolver: PublicResolver, source: str) -> str | None:
    try:
        names = resolver.lookup(str(reversename.from_address(source)), "PTR")
    except LookupFailed:
        return None
    return line(names[0], 253) if names else ""
