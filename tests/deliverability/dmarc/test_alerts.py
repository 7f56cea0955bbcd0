"""What a person is told, and what not."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from deliverability.dmarc.alerts import Alert, Look, Policy, Urgency, bounds, judge
from deliverability.dmarc.traffic import Line

NOW = datetime(2026, 6, 24, 6, 20, tzinfo=UTC)
OWN = {"207.174.124.94": "stream trucking", "207.174.124.107": "stream healthcare"}
POLICY = Policy(
    min_pass_percent=95,
    min_messages=100,
    spoof_messages=20,
    silence_hours=36,
    reporter_silence_days=3,
    max_unusable_percent=10,
)


def line(source: str, count: int, passed: bool = True, sender: str = "google.com", **other: Any) -> Line:
    values: dict[str, Any] = {
        "day": date(2026, 6, 23),
        "org": sender,
        "author": "performancewest.net",
        "disposition": "none",
        "dkim_aligned": passed,
        "spf_aligned": False,
        "dkim": (),
        "reasons": (),
    }
    return Line(source=source, sender=sender, count=count, **(values | other))


def told(*lines: Line, **other: Any) -> list[Alert]:
    values: dict[str, Any] = {
        "now": NOW,
        "lines": lines,
        "own": OWN,
        "ours": ("performancewest.net",),
        "forwarders": (),
        "reporters": {"google.com": (28, NOW - timedelta(hours=6))},
        "last_report": NOW - timedelta(hours=4),
        "usable": 40,
        "unusable": 0,
        "published": {"performancewest.net": "reject"},
        "seen": {"performancewest.net": {"reject": 9}},
    }
    return judge(Look(**(values | other)), POLICY)


def fingerprints(*lines: Line, **other: Any) -> list[str]:
    return [alert.fingerprint for alert in told(*lines, **other)]


def test_nothing_to_tell() -> None:
    assert told(line("207.174.124.94", 500), line("198.51.100.7", 19, passed=False)) == []


# an address of ours


@pytest.mark.parametrize(
    ("passed", "failed", "alarming"),
    [(18, 2, False), (0, 98, False), (92, 8, False), (86, 14, True), (940, 60, False), (930, 70, True), (0, 100, True)],
)
def test_an_own_address_is_told_when_the_rate_is_surely_too_low(passed: int, failed: int, alarming: bool) -> None:
    lines = [
        line("207.174.124.94", count, good, sender)
        for sender in ("google.com", "yahoo.com")
        for count, good in ((passed // 2, True), (failed // 2, False))
        if count
    ]
    assert fingerprints(*lines) == (["own 207.174.124.94"] if alarming else [])


def test_what_only_one_reporter_says_is_less_urgent() -> None:
    lines = [line("207.174.124.94", 500, sender="yahoo.com"), line("207.174.124.94", 400, False, "forger.example")]
    (alert,) = told(*lines)
    assert alert.urgency is Urgency.WARNING
    assert alert.text.endswith("; only forger.example says so")
    (alert,) = told(*lines, line("207.174.124.94", 100, False, "yahoo.com"))
    assert alert.urgency is Urgency.URGENT


def test_bounds_hold_the_rate_and_close_with_more_messages() -> None:
    for total in (10, 100, 10_000):
        low, high = bounds(total * 9 // 10, total)
        assert 0 <= low < 90 < high <= 100
    assert bounds(9_000, 10_000)[1] - bounds(9_000, 10_000)[0] < 2
    assert bounds(18, 19)[1] > 95, "one failure in nineteen says nothing"


# others


def test_who_sends_as_us_and_fails_is_told_from_twenty_messages_on() -> None:
    assert fingerprints(line("198.51.100.7", 19, False)) == []
    assert fingerprints(line("198.51.100.7", 20, False)) == ["spoofing 198.51.100.7"]


def test_addresses_of_one_ipv6_network_are_one_sender() -> None:
    lines = [line(f"2001:db8:0:1::{number}", 2, False) for number in range(1, 12)]
    assert fingerprints(*lines) == ["spoofing 2001:db8:0:1::/64"]


def test_scattered_ones_are_told_together() -> None:
    lines = [line(f"198.51.100.{number}", 19, False) for number in range(100)]
    (alert,) = told(*lines)
    assert (alert.fingerprint, alert.text[:34]) == ("spoofing scattered", "100 other addresses sent 1900 mess")


def test_a_stranger_that_passes_by_spf_is_urgent() -> None:
    (alert,) = told(line("198.51.100.7", 1, spf_aligned=True))
    assert (alert.fingerprint, alert.urgency) == ("passes 198.51.100.7", Urgency.URGENT)


def test_a_stranger_with_our_signature_is_urgent_once_it_is_more_than_somebodys_forwarding() -> None:
    assert fingerprints(line("198.51.100.7", 19)) == []
    (alert,) = told(line("198.51.100.7", 20))
    assert (alert.fingerprint, alert.urgency) == ("passes 198.51.100.7", Urgency.URGENT)
    assert fingerprints(line("198.51.100.7", 20), forwarders=(ip_network("198.51.100.0/24"),)) == []


@pytest.mark.parametrize(
    "other",
    [
        {"reasons": (("mailing_list", ""),)},
        {"reasons": (("local_policy", "arc=pass as.1.google.com=pass"),)},
    ],
)
def test_a_forwarder_alarms_nobody(other: Mapping[str, Any]) -> None:
    assert fingerprints(line("198.51.100.7", 500, False, **other)) == []


def test_a_signature_of_ours_that_does_not_fit_is_an_excuse_for_a_few() -> None:
    broken = {"dkim": (("send.performancewest.net", "send", "fail"),)}
    assert fingerprints(line("198.51.100.7", 199, False, **broken)) == []
    assert fingerprints(line("198.51.100.7", 200, False, **broken)) == ["spoofing 198.51.100.7"]


def test_a_few_forwarded_messages_hide_no_spoofing() -> None:
    forwarded = line("198.51.100.7", 10, False, reasons=(("mailing_list", ""),))
    assert fingerprints(forwarded, line("198.51.100.7", 100, False)) == ["spoofing 198.51.100.7"]


# reports that do not come, or cannot be used


def test_silence() -> None:
    assert fingerprints(last_report=NOW - timedelta(hours=37)) == ["no reports"]
    assert fingerprints(last_report=None) == ["no reports"], "a mailbox that no report ever came to"
    silent = {"google.com": (28, NOW - timedelta(days=4)), "rare.example": (2, NOW - timedelta(days=20))}
    assert fingerprints(reporters=silent) == ["silent google.com"]


def test_reports_that_cannot_be_used() -> None:
    assert fingerprints(usable=90, unusable=10) == []
    assert fingerprints(usable=80, unusable=20) == ["unusable"]


def test_a_policy_that_is_not_the_published_one() -> None:
    (alert,) = told(seen={"performancewest.net": {"reject": 5, "none": 2}})
    assert (alert.fingerprint, alert.text) == (
        "policy performancewest.net none",
        "performancewest.net is published with p=reject, and 2 reports saw p=none",
    )


def test_the_most_urgent_comes_first() -> None:
    found = told(line("198.51.100.7", 1, spf_aligned=True), line("192.0.2.1", 50, False), usable=1, unusable=1)
    assert [alert.urgency for alert in found] == [Urgency.URGENT, Urgency.WARNING, Urgency.WARNING]
