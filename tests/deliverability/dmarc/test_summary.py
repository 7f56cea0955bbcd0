"""The figures of a report: who sent in our name, how much, and what came of it; and whose an address is."""

from datetime import date, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from deliverability.dmarc import summary
from deliverability.dmarc.summary import Change, Day, Summary, summarise
from deliverability.dmarc.traffic import Kind, Line, kinds, network

LAST = date(2026, 6, 23)
FIRST, TREND = LAST - timedelta(days=6), LAST - timedelta(days=29)
OWN = {"207.174.124.94": "stream trucking", "207.174.124.107": "stream healthcare", "207.174.124.15": "stream trucking"}
OURS = ("performancewest.net",)
STRANGER = "198.51.100.7"


def line(source: str = STRANGER, count: int = 1, by: str = "", **other: Any) -> Line:
    """Messages that pass `by` dkim, spf, or both; "" is by neither."""
    values: dict[str, Any] = {
        "day": LAST,
        "sender": "google.com",
        "org": "google.com",
        "author": "performancewest.net",
        "disposition": "none" if by else "reject",
        "dkim_aligned": "dkim" in by,
        "spf_aligned": "spf" in by,
        "dkim": (),
        "reasons": (),
    }
    return Line(source=source, count=count, **(values | other))


def of(*lines: Line) -> Summary:
    return summarise(lines, OWN, kinds(lines, OWN, OURS), FIRST, LAST, TREND)


def failing(source: str, before: int, now: int, failing_before: int, failing_now: int) -> list[Line]:
    """The messages of a source on the day before the last one, and on the last one."""
    days = ((LAST - timedelta(days=1), before, failing_before), (LAST, now, failing_now))
    parts = [(day, count, by) for day, all_of, bad in days for count, by in ((all_of - bad, "dkim"), (bad, ""))]
    return [line(source, count, by, day=day) for day, count, by in parts if count]


# rates


def test_a_message_passes_by_either_and_counts_once() -> None:
    total = of(line(count=60, by="dkim spf"), line(count=20, by="dkim"), line(count=10, by="spf"), line(count=10)).total
    assert (total.messages, total.pass_percent, total.dkim_percent, total.spf_percent) == (100, 90.0, 80.0, 70.0)
    assert total.dispositions == {"none": 90, "reject": 10}


def test_rates_are_of_messages_not_of_records_and_rounded_to_a_tenth() -> None:
    assert of(line(count=2, by="spf"), line(count=1)).total.pass_percent == 66.7


def test_counts_are_exact_where_a_float_is_not() -> None:
    many = 2**53 + 1
    assert of(line(count=many, by="dkim"), line(count=1)).total.messages == many + 1


def test_without_messages_there_are_no_figures() -> None:
    none = of()
    assert (none.total.messages, none.streams, none.sources, none.reporters, none.changes) == (0, (), (), {}, ())
    assert {day.pass_percent for day in none.days} == {None}


def test_own_addresses_are_summed_up_by_stream_and_are_no_other_senders() -> None:
    found = of(
        line("207.174.124.94", 30, "dkim"), line("207.174.124.15", 10), line("207.174.124.107", 5, "spf"), line(count=7)
    )
    assert [(group.name, group.messages, group.pass_percent) for group in found.streams] == [
        ("stream trucking", 40, 75.0),
        ("stream healthcare", 5, 100.0),
    ]
    assert [group.name for group in found.addresses] == ["207.174.124.94", "207.174.124.15", "207.174.124.107"]
    assert [group.name for group in found.sources] == [STRANGER]


def test_the_largest_come_first_and_equal_ones_by_name() -> None:
    found = of(line("203.0.113.9", 5), line("203.0.113.10", 5), line("203.0.113.1", 9))
    assert [group.name for group in found.sources] == ["203.0.113.1", "203.0.113.10", "203.0.113.9"]


def test_of_many_other_senders_the_rest_is_counted() -> None:
    found = of(*(line(f"198.51.100.{number}", 250 - number) for number in range(summary.SOURCES_SHOWN + 10)))
    assert (len(found.sources), found.more_sources) == (summary.SOURCES_SHOWN, 10)
    assert found.sources[0].name == "198.51.100.0"
    assert found.total.messages == sum(250 - number for number in range(summary.SOURCES_SHOWN + 10))


def test_what_a_report_leaves_out_has_a_name() -> None:
    found = of(line(author="", disposition=""))
    assert [group.name for group in found.authors] == ["(none)"]
    assert found.total.dispositions == {"(none)": 1}


def test_a_sender_is_shown_with_the_domains_whose_signatures_fit() -> None:
    def signed(count: int, *results: tuple[str, str]) -> Line:
        return line(count=count, dkim=tuple((domain, "s", result) for domain, result in results))

    found = of(
        signed(5, ("esp.example", "pass"), ("esp.example", "pass"), ("forged.example", "fail")),
        signed(9, ("other.example", "pass")),
        signed(3, ("third.example", "pass")),
        signed(1, ("fourth.example", "pass")),
    )
    assert found.sources[0].signed == ("other.example", "esp.example", "third.example")


def test_who_reports_is_told_with_how_much() -> None:
    found = of(line(count=3, org="yahoo.com"), line(count=5), line(count=4, org="yahoo.com"))
    assert list(found.reporters.items()) == [("yahoo.com", 7), ("google.com", 5)]


# days


def test_what_is_outside_the_window_counts_in_the_trend_alone() -> None:
    found = of(line(count=5, by="dkim"), line(count=50, day=FIRST - timedelta(days=1)), line(count=500, day=FIRST))
    assert found.total.messages == 505
    assert sum(day.messages for day in found.days) == 555
    assert of(line(day=LAST + timedelta(days=1)), line(day=TREND - timedelta(days=1))).total.messages == 0


def test_the_trend_has_every_day_and_days_without_a_message_have_no_rate() -> None:
    yesterday = LAST - timedelta(days=1)
    found = of(
        line("207.174.124.94", 3, "dkim", day=yesterday), line("207.174.124.94", 1, day=yesterday), line(count=2)
    )
    assert [day.day for day in found.days] == [TREND + timedelta(days=number) for number in range(30)]
    assert found.days[-3:] == (Day(LAST - timedelta(days=2), 0, None), Day(yesterday, 4, 75.0), Day(LAST, 2, 0.0))
    assert found.by_address["207.174.124.94"][-2:] == (Day(yesterday, 4, 75.0), Day(LAST, 0, None))
    assert {day.messages for day in found.by_address["207.174.124.107"]} == {0}


# what changed


def test_who_came_who_went_and_who_fails_otherwise_has_changed() -> None:
    found = of(
        *failing("203.0.113.1", 10, 10, 0, 0),
        *failing("203.0.113.2", 0, 7, 0, 7),
        *failing("203.0.113.3", 6, 0, 0, 0),
        *failing("203.0.113.4", 10, 10, 1, 4),
        *failing("203.0.113.5", 100, 50, 2, 2),
    )
    assert found.changes == (
        Change("203.0.113.4", 10, 10, 1, 4),
        Change("203.0.113.2", 0, 7, 0, 7),
        Change("203.0.113.3", 6, 0, 0, 0),
    )


def test_the_largest_changes_are_shown() -> None:
    many = [one for number in range(50) for one in failing(f"203.0.113.{number}", 0, 1 + number, 0, 0)]
    found = of(line("203.0.113.99", 1, "dkim", day=LAST - timedelta(days=1)), *many).changes
    assert [change.source for change in found] == [f"203.0.113.{number}" for number in range(49, 29, -1)]
    assert len(found) == summary.CHANGES_SHOWN


def test_after_a_day_without_reports_nothing_is_called_new() -> None:
    assert of(line(count=5), line("203.0.113.3", 5, day=LAST - timedelta(days=2))).changes == ()


# whose it is


@pytest.mark.parametrize(
    ("source", "sender"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff::", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::", "2001:db8:0:2::/64"),
        ("::1", "::/64"),
    ],
)
def test_of_ipv6_a_sender_has_a_whole_network(source: str, sender: str) -> None:
    assert network(source) == sender


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        ((("forwarded", ""),), Kind.FORWARDER),
        ((("mailing_list", "whatever"),), Kind.FORWARDER),
        ((("trusted_forwarder", ""),), Kind.FORWARDER),
        ((("local_policy", "ARC=pass as[1].d=google.com"),), Kind.FORWARDER),
        ((("other", ""), ("forwarded", "")), Kind.FORWARDER),
        ((("local_policy", "the boss said so"),), Kind.UNKNOWN),
        ((("sampled_out", ""),), Kind.UNKNOWN),
        ((), Kind.UNKNOWN),
    ],
)
def test_a_receiver_says_what_was_sent_on(reasons: tuple[tuple[str, str], ...], kind: Kind) -> None:
    assert kinds([line(reasons=reasons)], OWN, OURS) == {STRANGER: kind}


@pytest.mark.parametrize(
    ("domain", "result", "unknown"),
    [
        ("performancewest.net", "fail", False),
        ("send.performancewest.net", "neutral", False),
        ("performancewest.net", "pass", True),
        ("evilperformancewest.net", "fail", True),
        ("net", "fail", True),
        ("example.org", "fail", True),
    ],
)
def test_a_signature_of_ours_that_no_longer_fits_was_sent_on(domain: str, result: str, unknown: bool) -> None:
    (kind,) = kinds([line(dkim=((domain, "send", result),))], OWN, OURS).values()
    assert (kind is Kind.UNKNOWN) is unknown


@pytest.mark.parametrize(("forwarded", "kind"), [(49, Kind.UNKNOWN), (50, Kind.UNKNOWN), (51, Kind.FORWARDER)])
def test_a_forwarder_sends_on_most_of_its_messages(forwarded: int, kind: Kind) -> None:
    lines = [line(count=forwarded, reasons=(("forwarded", ""),)), line(count=100 - forwarded)]
    assert kinds(lines, OWN, OURS) == {STRANGER: kind}


def test_the_operator_knows_own_addresses_and_forwarders() -> None:
    lines = [line("207.174.124.94", reasons=(("forwarded", ""),)), line(), line("2001:db8::25"), line("2001:db9::25")]
    known = (ip_network("198.51.100.0/24"), ip_network("2001:db8::/32"))
    assert kinds(lines, OWN, OURS, known) == {
        "207.174.124.94": Kind.OWN,
        STRANGER: Kind.FORWARDER,
        "2001:db8::25": Kind.FORWARDER,
        "2001:db9::25": Kind.UNKNOWN,
    }
