"""Whatever a report becomes on its way: it is read, or refused with our own error, and in bounded time."""

import base64
import random
from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deliverability.dmarc.intake import Outcome, Rules
from tests.deliverability.dmarc.test_quirks import BROUGHT, ENCODED, PACKED, WRITTEN
from tests.deliverability.dmarc.written import NOW, bare, mail, packed, read, taken

SMALL = 20_000
SEEDS = [
    *PACKED.values(),
    *ENCODED.values(),
    *BROUGHT.values(),
    *(text.encode() for text in WRITTEN.values()),
    *(packed(text) for text in WRITTEN.values()),
    *(mail(packed(text)) for text in list(WRITTEN.values())[:5]),
]
TOKENS = [
    b"<record>",
    b"</record>",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE x>",
    b"&#0;",
    b"&",
    b"\0",
    b"\xff\xfe",
    b"\x1f\x8b\x08",
    b"PK\x03\x04",
    b"</feedback>",
    b"<feedback>",
    b"\r\n\r\n",
    b"--",
]
fuzzed = settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
"""The same examples every time; and nothing in it looks at a clock that other work on the machine turns."""

SECONDS = 5.0
"""Of one example: a thousand times what any of them takes, and far under what a mistake of quadratic time would."""

mutated = st.builds(
    lambda data, seed, kinds: mutate(data, random.Random(seed), kinds),
    st.sampled_from(SEEDS),
    st.integers(0, 2**32),
    st.lists(st.integers(0, 5), min_size=1, max_size=6),
)


def mutate(data: bytes, pick: random.Random, kinds: list[int]) -> bytes:
    """Cut, repeat, overwrite, insert, drop, or splice, somewhere."""
    for kind in kinds:
        at, to = sorted((pick.randrange(len(data) + 1), pick.randrange(len(data) + 1)))
        match kind:
            case 0:
                data = data[:to]
            case 1:
                data = data[:to] + data[at:to] + data[to:]
            case 2:
                data = data[:at] + pick.randbytes(min(8, to - at)) + data[at + min(8, to - at) :]
            case 3:
                data = data[:at] + pick.choice(TOKENS) + data[at:]
            case 4:
                data = data[:at] + data[min(to, at + 16) :]
            case _:
                other = pick.choice(SEEDS)
                data = data[:at] + other[pick.randrange(len(other)) :]
        data = data[:SMALL]
    return data


@fuzzed
@given(mutated)
def test_a_file(data: bytes) -> None:
    with bounded():
        result, kept = read(data)
    assert_sound(result.outcome, result.reasons)
    assert all(one.messages > 0 and one.source_ip for one in kept.records)


@fuzzed
@given(mutated)
def test_a_mail(data: bytes) -> None:
    with bounded():
        result, _ = taken(data, Rules(now=NOW, ours=("performancewest.net",)))
    assert_sound(result.outcome, result.reasons)


@fuzzed
@given(mutated)
def test_an_attachment(data: bytes) -> None:
    with bounded():
        result, _ = taken(bare("application/gzip", base64.encodebytes(data), "base64"))
    assert_sound(result.outcome, result.reasons)


@fuzzed
@given(st.binary(max_size=2_000))
def test_noise(data: bytes) -> None:
    for result, _ in (read(data), taken(data)):
        assert_sound(result.outcome, result.reasons)


@contextmanager
def bounded() -> Iterator[None]:
    """What is done in it takes a bounded time of this thread's."""
    began = thread_time()
    yield
    assert thread_time() - began < SECONDS


def assert_sound(outcome: Outcome, reasons: list[str]) -> None:
    """Whatever is refused has a reason that a person can read."""
    assert (outcome is Outcome.QUARANTINED) == bool(reasons), reasons
    assert all(reason.strip() for reason in reasons)


def test_there_is_something_to_mutate() -> None:
    assert len(SEEDS) > 100
