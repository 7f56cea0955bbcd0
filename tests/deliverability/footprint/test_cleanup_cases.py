"""Every JSON case of tests/cases/snowshoe_cleanup: the sending host with a difference, and the plan or the refusals.

`given` changes the host of the rehearsal (perfwest.py): `replace` {path: [[old, new], ...]} and `append` {path: text}
edit its files, `live` and `not_live` its addresses, `primary` says which of them came first, `route_sources`
{destination: address} are its routes, `tables` and `sourced` {path: text} what main.cf and interfaces take in,
`published` {domain: [network, ...]} what SPF says; any other key is a field of Footprint.

`expect` holds `changes` (headlines), or `changes_as` (the case that has the same), or `refused` (parts of the reasons,
one for each reason, in order).

NAME.again.json is the second run. After a plan: the same host with the plan carried out, where nothing is left to do.
After a refusal: the host as the refused operator leaves it who does what the reason says, where a plan is made.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from deliverability.errors import Refused
from deliverability.footprint import planning
from deliverability.footprint.observation import Footprint, HostFile, Table
from deliverability.network.addresses import LiveAddress, Route
from deliverability.plan import Plan
from reports.render import headline
from tests.deliverability.footprint import perfwest

CASES = perfwest.ROOT / "tests" / "cases" / "snowshoe_cleanup"
FILES = sorted(CASES.glob("*.json"))
FIRSTS = [path for path in FILES if not path.name.endswith(".again.json")]


def load(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def host(given: dict[str, Any]) -> Footprint:
    rest = dict(given)
    before = perfwest.footprint()
    for path, pairs in rest.pop("replace", {}).items():
        for old, new in pairs:
            text = getattr(before, perfwest.FIELDS[path]).text
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
            before = perfwest.with_text(before, path, text.replace(old, new))
    for path, more in rest.pop("append", {}).items():
        before = perfwest.with_text(before, path, getattr(before, perfwest.FIELDS[path]).text + more)
    # The kernel sends to the subnet itself from its primary address.
    connected = Route("207.174.124.0/24", "eth0", source=rest.get("primary", perfwest.PRIMARY), protocol="kernel")
    routes = [Route(to, "eth0", source=source) for to, source in rest.pop("route_sources", {}).items()]
    fields: dict[str, Any] = {"configuration_loaded": True, "addresses": _addresses(before, rest)}
    fields["routes"] = (*before.routes, *routes, connected)
    fields["tables"] = tuple(Table(path=path, kind="hash", text=text) for path, text in rest.pop("tables", {}).items())
    fields["sourced_interfaces"] = tuple(
        HostFile(path=path, text=text, owner="", mode="") for path, text in rest.pop("sourced", {}).items()
    )
    fields["published"] = {**before.published, **rest.pop("published", {})}
    assert set(rest) <= set(Footprint.model_fields), f"unknown keys of `given`: {set(rest)}"
    return before.model_copy(update={**fields, **rest})


def _addresses(before: Footprint, given: dict[str, Any]) -> tuple[LiveAddress, ...]:
    gone, primary = given.pop("not_live", []), given.pop("primary", perfwest.PRIMARY)
    more = [LiveAddress("eth0", address, 24, "eth0", "global", True) for address in given.pop("live", [])]
    return tuple(
        LiveAddress(**{**vars(live), "secondary": live.address != primary})
        for live in (*before.addresses, *more)
        if live.address not in gone
    )


def made(before: Footprint) -> Plan:
    return planning.plan(before, perfwest.estate())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = load(path)
    given, expect = dict(case["given"]), case["expect"]
    carried_out = given.pop("carried_out", False)
    before = host(given)
    if carried_out:
        before = perfwest.carried_out(made(before), before)
    if "refused" in expect:
        with pytest.raises(Refused) as caught:
            made(before)
        assert len(caught.value.reasons) == len(expect["refused"]), caught.value.reasons
        assert all(part in reason for part, reason in zip(expect["refused"], caught.value.reasons, strict=True))
    else:
        changes = load(CASES / f"{expect['changes_as']}.json")["expect"] if "changes_as" in expect else expect
        assert [headline(change) for change in made(before).changes] == changes["changes"]


@pytest.mark.parametrize("path", FIRSTS, ids=lambda path: path.stem)
def test_the_second_run_is_empty_after_a_plan_and_a_plan_after_a_refusal(path: Path) -> None:
    first, again = load(path), load(path.with_name(f"{path.stem}.again.json"))
    if "refused" in first["expect"]:
        assert again["given"] != first["given"]
        assert again["expect"].get("changes") or "changes_as" in again["expect"]
    else:
        assert again["given"] == {**first["given"], "carried_out": True}
        assert again["expect"] == {"changes": []}
