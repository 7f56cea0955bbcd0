"""When all servers say the same, who lags, and who only remembers."""

import pytest

from deliverability.dns.agreement import Answer, Expected, Role, Server, findings, is_newer, lagging
from deliverability.finding import Verdict

MASTER = Server("cp.carrierone.com", "207.174.124.22", Role.MASTER)
SLAVE = Server("ns1.he.net", "216.218.130.2", Role.SLAVE)
RESOLVER = Server("8.8.8.8", "8.8.8.8", Role.RESOLVER)
OLD, NEW = frozenset({"v=spf1 a -all", "other"}), frozenset({"v=spf1 -all", "other"})
EXPECTED = Expected("performancewest.net", "TXT", NEW, before=OLD)


@pytest.mark.parametrize(
    ("serial", "than", "newer"),
    [
        (2, 1, True),
        (1, 2, False),
        (5, 5, False),
        (0, 2**32 - 1, True),  # round the circle
        (2**31 + 1, 1, False),  # half-way round is undefined
        (2**31, 1, True),
        (3_000_000_000, 2_026_112_423, True),  # HestiaCP 1.9 to 1.10
        (1, 4_294_967_295, True),
    ],
)
def test_serials_are_numbers_on_a_circle(serial: int, than: int, newer: bool) -> None:
    assert is_newer(serial, than) is newer


def judged(answer: Answer, signed: bool = False) -> tuple[Verdict, str]:
    master = Answer(MASTER, NEW, serial=7)
    (_, found) = findings(EXPECTED, [master, answer], signed, "2026-06-23T00:00:00Z")
    return found.verdict, found.observed


def test_whoever_says_what_is_expected_is_ok() -> None:
    assert judged(Answer(SLAVE, NEW, serial=7)) == (Verdict.OK, "v=spf1 -all")


def test_silence_is_unknown_and_does_not_lag() -> None:
    silent = Answer(SLAVE, None, error="no answer: timed out")
    assert judged(silent) == (Verdict.UNKNOWN, "no answer: timed out")
    assert lagging(EXPECTED, [silent]) == []


def test_a_slave_that_is_behind_says_by_which_serial() -> None:
    behind = Answer(SLAVE, OLD, serial=6)
    assert judged(behind) == (Verdict.FAIL, "v=spf1 a -all; its serial 6 is behind the master's 7")
    assert lagging(EXPECTED, [behind]) == [behind]


def test_a_slave_with_the_masters_serial_and_another_answer_is_wrong_and_not_behind() -> None:
    assert judged(Answer(SLAVE, OLD, serial=7)) == (Verdict.FAIL, "v=spf1 a -all")


def test_a_resolver_may_remember_the_old_answer_for_its_time() -> None:
    remembers = Answer(RESOLVER, OLD, ttl=120)
    assert judged(remembers)[0] is Verdict.WARNING
    assert "remembers for 120 s more" in judged(remembers)[1]
    assert lagging(EXPECTED, [remembers]) == []
    other = Answer(RESOLVER, frozenset({"v=spf1 +all"}), ttl=120)
    assert judged(other)[0] is Verdict.FAIL
    assert lagging(EXPECTED, [other]) == [other]


def test_an_answer_of_a_signed_zone_that_nobody_vouches_for_is_a_warning() -> None:
    assert judged(Answer(RESOLVER, NEW), signed=True)[0] is Verdict.WARNING
    assert judged(Answer(RESOLVER, NEW, authentic=True), signed=True)[0] is Verdict.OK


def test_a_name_that_shall_go_is_expected_to_say_nothing() -> None:
    gone = Expected("old.performancewest.net", "TXT", frozenset())
    (found,) = findings(gone, [Answer(MASTER, frozenset())], False, "")
    assert (found.verdict, found.observed) == (Verdict.OK, "nothing")
