"""The plan for the runbook's host: what goes, in which order, what stays to the byte, and what a second run does."""

from typing import Any

import pytest

from deliverability.footprint import planning
from deliverability.footprint.observation import Footprint
from deliverability.network import interfaces
from deliverability.network.addresses import LiveAddress, Route
from deliverability.plan import AddAddress, EditFile, Plan, ReloadService, RemoveAddress
from deliverability.postfix import main_cf, master_cf
from tests.deliverability.footprint import perfwest
from tests.deliverability.footprint.perfwest import CRON, INTERFACES, MAIN_CF, MASTER_CF, UNUSED

KEPT = ("207.174.124.71", "207.174.124.72", "207.174.124.94", "207.174.124.107")
TRANSPORTS = (
    *("yahooslow", "out02", "out03", "out04", *(f"out{number:02}" for number in range(6, 21))),
    *("rehab02", "rehab03", "rehab04", "hcout2", "hcout3"),
)
PARAMETERS = (
    *("yahooslow_destination_rate_delay = 30s", "yahooslow_destination_concurrency_limit = 1"),
    *("yahooslow_destination_recipient_limit = 2", "out02_destination_rate_delay = 5s"),
    *("out03_destination_rate_delay = 5s", "out07_destination_concurrency_limit = 2"),
    *("out12_destination_concurrency_limit = 2", "out18_initial_destination_concurrency = 1"),
    *("rehab02_destination_rate_delay = 60s", "rehab02_destination_concurrency_failed_cohort_limit = 10"),
    *("rehab03_destination_rate_delay = 90s", "hcout2_destination_concurrency_limit = 2"),
    "hcout2_destination_rate_delay = 10s",
)
BEFORE = perfwest.footprint()


def made(before: Footprint) -> Plan:
    return planning.plan(before, perfwest.estate())


PLAN = made(BEFORE)
TARGETS = [change.target for change in PLAN.changes]


def edit(path: str) -> EditFile:
    return next(edit for edit in PLAN.edits() if edit.path == path)


def test_the_host_has_twenty_sending_addresses_and_two_of_its_own() -> None:
    assert len(BEFORE.addresses) == 22
    assert [live.address for live in BEFORE.addresses if not live.secondary] == [perfwest.PRIMARY]


def test_exactly_the_eighteen_addresses_of_the_runbook_go() -> None:
    assert len(UNUSED) == 18
    assert [removal.address for removal in PLAN.removed_addresses()] == list(UNUSED)
    bound = {binding.address for binding in interfaces.addresses(interfaces.parse(edit(INTERFACES).after))}
    assert bound == set(KEPT)


def test_removals_name_the_prefix_label_and_broadcast_that_an_undo_needs() -> None:
    removal = PLAN.removed_addresses()[8]
    assert (removal.address, removal.prefix, removal.interface) == ("207.174.124.99", 24, "eth0")
    assert (removal.label, removal.broadcast) == ("eth0:3", "207.174.124.255")


def test_exactly_the_transports_and_ports_of_the_runbook_go() -> None:
    before, after = master_cf.parse(edit(MASTER_CF).before), master_cf.parse(edit(MASTER_CF).after)
    gone = [service.key for service in before.services if service.key not in after.effective]
    assert sorted(gone) == sorted([*(f"{name}/unix" for name in TRANSPORTS), "2527/inet", "2528/inet"])
    assert {"out05/unix", "hcout1/unix", "2526/inet", "smtp/inet", "smtp/unix", "relay/unix"} <= set(after.effective)
    assert [edit(MASTER_CF).items[0], *edit(MASTER_CF).items[-2:]] == [
        "transport yahooslow (207.174.124.90, HELO mta01.performancewest.net)",
        "port 2527 -> hcout2",
        "port 2528 -> hcout3",
    ]


def test_exactly_the_parameters_of_those_transports_go() -> None:
    assert edit(MAIN_CF).items == tuple(f"parameter {parameter}" for parameter in PARAMETERS)
    before, after = main_cf.parse(edit(MAIN_CF).before), main_cf.parse(edit(MAIN_CF).after)
    assert set(before.values) - set(after.values) == {parameter.split()[0] for parameter in PARAMETERS}
    assert after.value("out05_destination_recipient_limit") == "10"
    assert after.value("transport_maps") == "randmap:{out05:}"


def test_the_rehabilitation_job_is_commented_out() -> None:
    job = "*/20 7-19 * * 1-5  root  /usr/local/bin/pw-ip-rehab --transports rehab02,rehab03,rehab04 --max 5"
    assert edit(CRON).after == edit(CRON).before.replace(job, f"# disabled by snowshoe-cleanup: {job}")


def test_transports_go_before_their_addresses_and_files_before_what_runs() -> None:
    assert TARGETS[:5] == [MAIN_CF, MASTER_CF, "postfix", CRON, INTERFACES]
    assert TARGETS[5:] == [f"{address}/24 on eth0" for address in UNUSED]


@pytest.mark.parametrize("path", [MAIN_CF, MASTER_CF, INTERFACES])
def test_what_stays_in_a_file_stays_to_the_byte(path: str) -> None:
    before, after = edit(path).before.splitlines(keepends=True), edit(path).after.splitlines(keepends=True)
    rest = iter(before)
    assert all(line in rest for line in after), "a line that stays was changed, moved or made up"
    comments = [line for line in before if line.lstrip().startswith("#") or not line.strip()]
    assert [line for line in after if line.lstrip().startswith("#") or not line.strip()] == comments


def test_the_person_is_told_what_stays() -> None:
    assert PLAN.kept == (
        "stream trucking: 207.174.124.94, HELO mta05.performancewest.net, transport out05",
        "stream healthcare: 207.174.124.107, HELO hcmta01.performancewest.net, transport hcout1",
        "stream transactional: 207.174.124.71, HELO perfwest.performancewest.net",
        "infrastructure: 207.174.124.71, 207.174.124.72",
    )


def test_a_second_plan_is_empty() -> None:
    again = made(perfwest.carried_out(PLAN, BEFORE))
    assert again.empty
    assert again.changes == ()


@pytest.mark.parametrize("count", range(len(TARGETS)))
def test_a_run_that_died_at_any_change_is_continued_there(count: int) -> None:
    rest = made(perfwest.carried_out(PLAN, BEFORE, count))
    owed = ["postfix"] if count in (1, 2) else []
    assert [change.target for change in rest.changes] == (owed + TARGETS[3:] if count == 2 else TARGETS[count:])
    assert perfwest.carried_out(rest, perfwest.carried_out(PLAN, BEFORE, count)) == perfwest.carried_out(PLAN, BEFORE)


def test_a_reload_that_is_owed_is_planned_alone() -> None:
    after = perfwest.carried_out(PLAN, BEFORE).model_copy(update={"configuration_loaded": False})
    (change,) = made(after).changes
    assert change == ReloadService(
        host="mta", service="postfix", why="the running Postfix has not read its present files"
    )


def test_the_same_observation_has_the_same_digest() -> None:
    assert made(perfwest.footprint()).digest == PLAN.digest
    assert len(PLAN.digest) == 64
    assert PLAN.short_digest == PLAN.digest[:12]


@pytest.mark.parametrize(
    "volatile",
    [
        {"queued_transports": {"4A1": "out05"}},
        {"listeners": ()},
        {"routes": (Route("default", "eth0", gateway="207.174.124.1"),)},
        {"published": {}},
        {"promote_secondaries": True},
        {"ssh_address": "207.174.124.72"},
        {"addresses": tuple(reversed(BEFORE.addresses))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_moves_by_itself_does_not_move_the_digest(volatile: dict[str, Any]) -> None:
    # The kernel lists addresses in the order they came up: a restart of the host is no other plan.
    assert made(perfwest.footprint(**volatile)).digest == PLAN.digest


@pytest.mark.parametrize("path", [MAIN_CF, MASTER_CF, INTERFACES, CRON])
def test_any_byte_of_a_file_that_is_edited_moves_the_digest(path: str) -> None:
    text = getattr(BEFORE, perfwest.FIELDS[path]).text + "# one comment more\n"
    assert made(perfwest.with_text(BEFORE, path, text)).digest != PLAN.digest


@pytest.mark.parametrize(
    "change", [{"address": "207.174.124.91"}, {"prefix": 25}, {"label": "eth0:90"}, {"broadcast": None}]
)
def test_any_word_of_a_change_moves_the_digest(change: dict[str, Any]) -> None:
    removal = PLAN.removed_addresses()[0].model_copy(update=change)
    assert PLAN.model_copy(update={"changes": (*PLAN.changes[:5], removal, *PLAN.changes[6:])}).digest != PLAN.digest


def test_order_host_estate_and_procedure_are_part_of_the_digest_and_kept_is_not() -> None:
    changes = PLAN.changes
    for update in (
        {"changes": (*changes[:-2], changes[-1], changes[-2])},
        {"host": "mta2"},
        {"estate": "rehearsal"},
        {"procedure": "ip-reexpansion"},
    ):
        assert PLAN.model_copy(update=update).digest != PLAN.digest
    assert PLAN.model_copy(update={"kept": ()}).digest == PLAN.digest


def test_a_plan_survives_json() -> None:
    again = Plan.model_validate_json(PLAN.model_dump_json())
    assert again == PLAN
    assert again.digest == PLAN.digest


def test_an_observation_survives_json() -> None:
    again = Footprint.model_validate_json(BEFORE.model_dump_json())
    assert again == BEFORE
    assert isinstance(again.addresses[0], LiveAddress)


def test_every_change_has_an_inverse_and_the_inverse_of_that_is_the_change() -> None:
    assert {type(change) for change in PLAN.changes} == {EditFile, ReloadService, RemoveAddress}
    for change in PLAN.changes:
        back = change.inverse()
        assert back.target == change.target
        again = back.inverse()
        assert again.model_dump(exclude={"why"}) == change.model_dump(exclude={"why"})
        match change, back:
            case EditFile(), EditFile():
                assert (back.before, back.after) == (change.after, change.before)
            case RemoveAddress(), AddAddress():
                assert back.model_dump(exclude={"kind", "why"}) == change.model_dump(exclude={"kind", "why"})
            case ReloadService(), ReloadService():
                assert back == change
            case _:
                pytest.fail(f"{back.kind} is no inverse of {change.kind}")


def test_what_the_look_showed_is_told_in_lines() -> None:
    lines = planning.summary(BEFORE)
    assert "22 IPv4 addresses are live, SSH arrives on 207.174.124.71" in lines
    assert lines[-1] == "SPF of send.performancewest.net authorises 207.174.124.107, 207.174.124.94"
    assert planning.done(PLAN) == "18 addresses and 58 configuration items removed, verification passed"
