"""What an SPF trim plans, and what it refuses, from one look."""

from pathlib import Path

import pytest

from deliverability import estate as estates
from deliverability.dns import spf, spf_plan
from deliverability.dns.spf_plan import SpfLook
from deliverability.dns.zone import Record, Zone
from deliverability.errors import Refused

ESTATE = estates.load(Path(__file__).parents[3] / "estates" / "performancewest.toml")
ROOT, SEND = "performancewest.net", "send.performancewest.net"
OLD = f"v=spf1 a mx ip4:207.174.124.15 {' '.join(f'ip4:207.174.124.{last}' for last in range(90, 110))} -all"
NEW = "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 -all"
OF_SEND = "v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 -all"
ANSWERS = {
    ROOT: {"A": ("207.174.124.71",), "MX": ("co.carrierone.com",), "AAAA": ()},
    "co.carrierone.com": {"A": ("207.174.124.15",), "AAAA": ()},
}


def record(id: int, name: str, value: str, ttl: int = 14400) -> Record:
    return Record(id=id, name=name, type="TXT", value=value, priority=None, ttl=ttl, suspended=False)


def look(*records: Record, published: dict[str, tuple[str, ...]] | None = None, **sent: int) -> SpfLook:
    zone = Zone(name=ROOT, owner="justin", ttl=14400, serial=7, signed=True, records=records)
    shown = {ROOT: published or {}}
    counts = {f"207.174.124.{name.removeprefix('to')}": count for name, count in sent.items()}
    return SpfLook(host="cp", zone=zone, answers=ANSWERS, published=shown, sent=counts)


def untrimmed(**sent: int) -> SpfLook:
    return look(record(3, "@", OLD), record(4, "@", "google-site-verification=x"), record(9, "send", OF_SEND), **sent)


def refusal(seen: SpfLook, merge: bool = False) -> str:
    with pytest.raises(Refused) as refused:
        spf_plan.plan(seen, ESTATE, merge)
    return str(refused.value)


def test_the_runbooks_record() -> None:
    plan = spf_plan.plan(untrimmed(), ESTATE)
    (change,) = plan.records()
    assert (change.name, change.before, change.after, change.ttl) == ("@", OLD, NEW, None)
    assert plan.kept == (
        f"{ROOT}: 207.174.124.94, stream trucking",
        f"{ROOT}: 207.174.124.107, stream healthcare",
        f"{ROOT}: 207.174.124.15, relay of stream transactional",
        f"{ROOT}: 207.174.124.71, stream transactional",
        f"{SEND}: 207.174.124.94, stream trucking",
        f"{SEND}: 207.174.124.107, stream healthcare",
    )


def test_a_second_plan_is_empty() -> None:
    assert spf_plan.plan(look(record(3, "@", NEW), record(9, "send", OF_SEND)), ESTATE).empty


def test_a_ttl_of_its_own_is_kept() -> None:
    (change,) = spf_plan.plan(look(record(3, "@", OLD, ttl=600), record(9, "send", OF_SEND)), ESTATE).records()
    assert change.ttl == 600


def test_senders_of_the_streams_may_be_in_the_log() -> None:
    assert spf_plan.plan(untrimmed(to94=10, to71=3), ESTATE).records()


def test_whoever_else_sent_is_not_cut_off() -> None:
    assert "207.174.124.95 is in no stream of the estate file, and sent 2 message(s)" in refusal(untrimmed(to95=2))


def test_a_sender_that_no_record_authorises_is_not_ours_to_decide_about() -> None:
    assert spf_plan.plan(untrimmed(to72=5), ESTATE).records()


def test_a_stream_that_does_not_pass_today_is_refused() -> None:
    without = OLD.replace(" ip4:207.174.124.94", "")
    assert "207.174.124.94 sends mail, and " in refusal(look(record(3, "@", without), record(9, "send", OF_SEND)))


def test_two_records_are_one_reason_and_merge_on_request() -> None:
    seen = look(record(3, "@", OLD), record(5, "@", "v=spf1 ip4:207.174.124.94 -all"), record(9, "send", OF_SEND))
    assert "has 2 SPF records, for which every receiver answers permerror; `--set merge=true`" in refusal(seen)
    first, second = spf_plan.plan(seen, ESTATE, merge=True).records()
    assert (first.before, first.after) == (OLD, NEW)
    assert (second.before, second.after) == ("v=spf1 ip4:207.174.124.94 -all", None)


def test_a_slave_that_shows_something_else_is_a_reason_and_a_resolver_that_remembers_is_none() -> None:
    records = (record(3, "@", NEW), record(9, "send", OF_SEND))
    assert "ns1.he.net do not show" in refusal(look(*records, published={"ns1.he.net": (OLD,)}))
    assert spf_plan.plan(look(*records, published={"8.8.8.8": (OLD,)}), ESTATE).empty


def test_all_reasons_are_listed_at_once() -> None:
    said = refusal(look(record(9, "send", "v=spf1 ip4:207.174.124.94 -all")))
    assert f"{ROOT} publishes no SPF record" in said
    assert "207.174.124.107 sends mail, and " in said


def test_the_verdicts_are_a_pass_for_each_sender_and_none_for_what_went() -> None:
    plan = spf_plan.plan(untrimmed(), ESTATE)
    lookup = spf.as_if(spf.offline(ANSWERS), {ROOT: NEW})
    found = {finding.check: str(finding.verdict) for finding in spf_plan.verdicts(plan, ESTATE, lookup)}
    assert len(found) == 4 + 18
    assert set(found.values()) == {"ok"}
    still = spf.as_if(spf.offline(ANSWERS), {ROOT: OLD})
    wrong = [finding.check for finding in spf_plan.verdicts(plan, ESTATE, still) if finding.verdict == "fail"]
    assert len(wrong) == 18, "what the servers answer decides, not what was planned"
    (change,) = plan.records()
    assert spf_plan.gone(change, ROOT, lookup) == [
        f"207.174.124.{last}" for last in range(90, 110) if last not in (94, 107)
    ]
