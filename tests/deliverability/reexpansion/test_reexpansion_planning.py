"""What gives a stream one address back, and all that stands against it, from one look."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deliverability.dns.zone import Record, Zone
from deliverability.errors import EstateError, Refused
from deliverability.estate import Estate, load
from deliverability.estate_tables import Egress
from deliverability.finding import failed
from deliverability.footprint import planning as cleanup
from deliverability.footprint.observation import HostFile
from deliverability.plan import Plan
from deliverability.reexpansion import planning
from deliverability.reexpansion.days import Day, by_day
from deliverability.reexpansion.planning import Earlier, ReexpansionLook
from reports import render
from tests.deliverability.footprint import perfwest

ADDRESS, SCRIPT = "207.174.124.95", "/usr/local/sbin/pw-mta-warmup.sh"
EGRESS = Egress(ip=ADDRESS, helo="mta06.performancewest.net", transport="out06")
OTHER = Egress(ip="207.174.124.96", helo="mta07.performancewest.net", transport="out07")


def estate(*more: Egress) -> Estate:
    base = perfwest.estate()
    trucking = base.streams["trucking"].model_copy(update={"more": more or (EGRESS,)})
    return base.model_copy(update={"streams": {**base.streams, "trucking": trucking}})


ESTATE = estate()
WHAT = planning.target(ESTATE, ADDRESS)
CLEANED = perfwest.carried_out(cleanup.plan(perfwest.footprint(), perfwest.estate()), perfwest.footprint())
ROOT = "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 -all"
SEND = "v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 -all"


def zone(**texts: str) -> Zone:
    published = {"root": ROOT, "send": SEND} | texts
    records = tuple(
        Record(id=id, name=name.replace("root", "@"), type="TXT", value=text, priority=None, ttl=14400, suspended=False)
        for id, (name, text) in enumerate(published.items())
    )
    return Zone(name="performancewest.net", owner="justin", ttl=14400, serial=7, signed=True, records=records)


def look(**changes: Any) -> ReexpansionLook:
    base: dict[str, Any] = {
        "footprint": CLEANED,
        "script": HostFile(path=SCRIPT, text="ALL=(out05)\n", owner="root:root", mode="755"),
        "master": "cp",
        "zone": zone(),
        "reverse": (EGRESS.helo,),
        "forward": (ADDRESS,),
        "earlier": (),
        "days": {"2026-06-19": Day(attempts=4000, refused=12)},
    }
    return ReexpansionLook(**(base | changes))


def planned(seen: ReexpansionLook, of: Estate = ESTATE) -> Plan:
    return planning.plan(seen, of, planning.target(of, ADDRESS))


def refusal(seen: ReexpansionLook, of: Estate = ESTATE) -> str:
    with pytest.raises(Refused) as refused:
        planned(seen, of)
    return str(refused.value)


def test_receivers_first_then_the_host_and_the_warm_up_script_last() -> None:
    plan = planned(look())
    assert [render.headline(change).partition("  (")[0] for change in plan.changes] == [
        "~ cp: @ TXT in performancewest.net",
        "~ cp: send TXT in performancewest.net",
        "~ mta:/etc/network/interfaces",
        f"+ mta: address {ADDRESS}/24 on eth0",
        "~ mta:/etc/postfix/main.cf",
        "~ mta:/etc/postfix/master.cf",
        "~ mta: reload postfix",
        f"~ mta:{SCRIPT}",
    ]
    assert [change.after for change in plan.records()] == [
        "v=spf1 a mx ip4:207.174.124.15 ip4:207.174.124.94 ip4:207.174.124.107 ip4:207.174.124.95 -all",
        "v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 ip4:207.174.124.95 -all",
    ]
    assert plan.edits()[-1].after == "ALL=(out05 out06)\n"
    assert len(plan.attested) == 3
    assert plan.kept == ("the mail log shows 1 day(s), at most 4000 messages a day; the cap is 4800",)


def test_what_is_attested_is_part_of_what_is_approved() -> None:
    plan = planned(look())
    assert plan.digest != plan.model_copy(update={"attested": plan.attested[:1]}).digest
    assert plan.attested[0] in render.plan_markdown(plan)


def test_once_it_is_back_nothing_is_planned_and_nobody_attests_anything() -> None:
    plan = planned(look())
    host = plan.model_copy(update={"changes": tuple(one for one in plan.host_changes() if one.target != SCRIPT)})
    now = perfwest.carried_out(host, CLEANED)
    root, send = (str(change.after) for change in plan.records())
    back = look(
        footprint=now,
        zone=zone(root=root, send=send),
        script=HostFile(path=SCRIPT, text=plan.edits()[-1].after, owner="root:root", mode="755"),
    )
    again = planned(back)
    assert (again.changes, again.attested) == ((), ())
    assert failed(planning.findings(plan, back, WHAT, "now")) == []
    assert {found.check for found in failed(planning.findings(plan, look(), WHAT, "now"))} == {
        *("address (live)", "address (file)", "transport out06")
    }


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat(timespec="seconds")


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (look(reverse=()), f"{ADDRESS} is called nothing in DNS, not mta06.performancewest.net"),
        (look(reverse=("a.example", "b.example")), f"{ADDRESS} is called a.example, b.example in DNS"),
        (look(forward=("192.0.2.1",)), f"mta06.performancewest.net leads to 192.0.2.1, not to {ADDRESS}"),
        (
            look(earlier=(Earlier(run="r", address="207.174.124.90", at=ago(days=6)),)),
            "207.174.124.90 came back at",
        ),
        (
            look(days={"2026-06-19": Day(attempts=100, refused=1)}),
            "2026-06-19: 1 of 100 messages were refused for reputation",
        ),
        (look(zone=zone().model_copy(update={"records": zone().records[:1]})), "has 0 SPF records"),
        (look(script=HostFile(path=SCRIPT, text="", owner="", mode="")), f"{SCRIPT}:1: 0 lines `ALL=(...)`"),
    ],
)
def test_what_stands_against_it(seen: ReexpansionLook, says: str) -> None:
    assert says in refusal(seen)


def test_an_earlier_one_that_is_long_ago_or_the_same_is_no_reason() -> None:
    long_ago = Earlier(run="r", address="207.174.124.90", at=ago(days=8))
    same = Earlier(run="s", address=ADDRESS, at=ago(days=1))
    assert planned(look(earlier=(long_ago, same))).changes


def test_one_at_a_time() -> None:
    assert "207.174.124.96 is in `more` too, and is not back yet" in refusal(look(), estate(EGRESS, OTHER))


def test_without_a_script_on_the_host_it_is_work_for_a_person() -> None:
    plan = planned(look(script=None))
    assert plan.kept[0] == "MANUAL: add out06 to ALL=(...) of the warm-up script, once this run is done"


def test_an_address_that_no_stream_is_to_have_is_refused() -> None:
    with pytest.raises(Refused, match=r"no stream is to have 192\.0\.2\.1 more"):
        planning.target(ESTATE, "192.0.2.1")


def test_a_day_counts_what_receivers_refuse_for_reputation() -> None:
    line = (
        "2026-06-19T10:00:00.0+00:00 perfwest postfix/{0}/smtp[1]: 4ABCDEF12: to=<a@b.example>, "
        "relay=b.example[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=4.7.1, status={1} ({2})"
    )
    lines = [
        line.format("out05", "sent", "250 2.0.0 Ok, your reputation is fine"),
        line.format("out05", "deferred", "451 4.7.500 Server busy"),
        line.format("out05", "bounced", "550 5.1.1 no such user"),
        line.format("out06", "bounced", "550-5.7.1 very low reputation of the sending domain"),
        line.format("hcout1", "bounced", "550-5.7.1 very low reputation of the sending domain"),
        "no delivery at all",
    ]
    found = by_day(lines, ["out05", "out06"])
    assert found == {"2026-06-19": Day(attempts=4, refused=2)}
    assert found["2026-06-19"].share == 0.5
    assert Day().share == 0.0


def test_an_address_outside_the_pool_is_no_estate(tmp_path: Any) -> None:
    file = tmp_path / "x.toml"
    more = '[[streams.trucking.more]]\nip = "192.0.2.1"\nhelo = "a"\ntransport = "b"\n'
    file.write_text(f'extends = "{perfwest.ROOT}/estates/performancewest.toml"\n{more}')
    with pytest.raises(EstateError, match=r"streams\.trucking\.more: 192\.0\.2\.1 is not in mta\.pool"):
        load(file)
