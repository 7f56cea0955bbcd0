"""Taking a finished run back: what is planned, in which order, and every difference that stands against it."""

import hashlib
from typing import Any

import pytest

from deliverability import rollback
from deliverability.errors import Refused
from deliverability.estate import Estate
from deliverability.finding import failed
from deliverability.footprint import planning
from deliverability.footprint.observation import Footprint
from deliverability.network.addresses import LiveAddress, Route
from deliverability.plan import AddAddress, EditFile, Plan, SetListmonkFrom
from deliverability.rollback import Backup, PastRun
from tests.deliverability.footprint import perfwest
from tests.deliverability.footprint.perfwest import CRON, INTERFACES, MAIN_CF, MASTER_CF, UNUSED

RUN, UNDO = "20260623T100000-cleanup", "20260624T100000-undo"
ESTATE = perfwest.estate()
BEFORE = perfwest.footprint()
CLEANUP = planning.plan(BEFORE, ESTATE)
CLEANED = perfwest.carried_out(CLEANUP, BEFORE)


def remembered(run: str, plan: Plan, **gone: Any) -> PastRun:
    """What the host remembers of a run, with its backups in order but for what is named."""
    return PastRun(run=run, plan=plan, backups=tuple(backup(edit).model_copy(update=gone) for edit in plan.edits()))


def backup(edit: EditFile) -> Backup:
    digest = hashlib.sha256(edit.before.encode()).hexdigest()
    name = f"/root/{edit.path.rpartition('/')[2]}.bak_snowshoe_{RUN}"
    return Backup(path=edit.path, name=name, recorded=digest, sha256=digest, owner="root:root", mode="644")


PAST = remembered(RUN, CLEANUP)
PLAN = rollback.plan(PAST, CLEANED, ESTATE)
RESTORED = perfwest.carried_out(PLAN, CLEANED)
PAST_UNDO = remembered(UNDO, PLAN)


def refused(now: Footprint, past: PastRun = PAST, estate: Estate = ESTATE) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        rollback.plan(past, now, estate)
    assert caught.value.exit_code == 3
    assert f"runbook undo {past.run} --estate {estate.name}" in str(caught.value)
    return caught.value.reasons


def edited(now: Footprint, path: str, old: str, new: str) -> Footprint:
    text = getattr(now, perfwest.FIELDS[path]).text
    assert text.count(old) == 1
    return perfwest.with_text(now, path, text.replace(old, new))


# what is planned


def test_all_of_a_run_is_taken_back_addresses_first_and_reloaded_once() -> None:
    targets = [change.target for change in PLAN.changes]
    assert targets[: len(UNUSED)] == [f"{address}/24 on eth0" for address in UNUSED]
    assert targets[len(UNUSED) :] == [INTERFACES, MAIN_CF, MASTER_CF, "postfix", CRON]
    for path in (MASTER_CF, MAIN_CF, INTERFACES, CRON):
        assert getattr(RESTORED, perfwest.FIELDS[path]) == getattr(BEFORE, perfwest.FIELDS[path])
    assert set(RESTORED.addresses) == set(BEFORE.addresses)
    assert PLAN.kept == CLEANUP.kept


def test_the_plan_is_of_this_undo() -> None:
    assert (PLAN.procedure, PLAN.estate, PLAN.host) == ("undo", ESTATE.name, "mta")
    assert all(change.why.startswith(f"undo of {RUN}: ") for change in PLAN.changes)
    assert rollback.plan(PAST, CLEANED, ESTATE).digest == PLAN.digest
    other = rollback.plan(PAST.model_copy(update={"run": UNDO}), CLEANED, ESTATE)
    assert other.digest != PLAN.digest


def test_what_is_taken_back_already_is_left_alone() -> None:
    by_hand = edited(CLEANED, CRON, "# disabled by snowshoe-cleanup: ", "")
    first = next(live for live in BEFORE.addresses if live.address == UNUSED[0])
    by_hand = by_hand.model_copy(update={"addresses": (*by_hand.addresses, first)})
    changes = rollback.plan(PAST, by_hand, ESTATE).changes
    assert changes == tuple(change for change in PLAN.changes if change.target not in (CRON, f"{UNUSED[0]}/24 on eth0"))


@pytest.mark.parametrize("now", [BEFORE, RESTORED], ids=["never changed", "undone"])
def test_when_all_is_back_there_is_nothing_to_do(now: Footprint) -> None:
    assert rollback.plan(PAST, now, ESTATE).empty
    lost = remembered(RUN, CLEANUP, sha256="")
    assert rollback.plan(lost, now, ESTATE).empty, "a backup that nobody needs may be gone"


def test_a_reload_that_is_owed_is_planned_alone() -> None:
    (change,) = rollback.plan(PAST, BEFORE.model_copy(update={"configuration_loaded": False}), ESTATE).changes
    assert change.why == f"undo of {RUN}: the running Postfix has not read its present files"


@pytest.mark.parametrize("count", range(len(PLAN.changes)))
def test_an_undo_that_died_at_any_change_is_continued_there(count: int) -> None:
    now = perfwest.carried_out(PLAN, CLEANED, count)
    assert perfwest.carried_out(rollback.plan(PAST, now, ESTATE), now) == RESTORED


def test_an_address_that_came_back_by_hand_counts_whatever_its_label() -> None:
    by_hand = LiveAddress("eth0", UNUSED[0], 24, "eth0", "global", True)
    plan = rollback.plan(PAST, CLEANED.model_copy(update={"addresses": (*CLEANED.addresses, by_hand)}), ESTATE)
    assert UNUSED[0] not in {change.address for change in plan.added_addresses()}


# the host has moved on


def test_a_file_that_was_changed_since_is_named_with_what_differs() -> None:
    now = edited(CLEANED, MASTER_CF, "# rehab05 never needed, out05 is clean\n", "# rehab05: see CHG-7\nnew unix\n")
    number = CLEANED.master_cf.text.split("\n").index("# rehab05 never needed, out05 is clean") + 1
    assert refused(now) == (
        f"{MASTER_CF} was changed since the run: line {number}: -# rehab05 never needed, out05 is clean  "
        "+# rehab05: see CHG-7  +new unix",
    )


@pytest.mark.parametrize(
    ("left", "now", "said"),
    [
        ("a\nb\nc\n", "a\nc\n", "line 2: -b"),
        ("a\nc\n", "a\nb\nc\n", "line 2: +b"),
        ("a\n", "a", "line 2: -"),
        ("", "a\n", "line 1: +a"),
        ("a\na\n", "a\n", "line 2: -a"),
        ("a\nb\n", "x\ny\n", "line 1: -a  -b  +x  +y"),
        ("", "1\n2\n3\n4\n5\n", "line 1: +1  +2  +3  +(2 more lines)"),
        ("", "x" * 200 + "\n", f"line 1: +{'x' * 100}..."),
    ],
)
def test_a_difference_is_shown_with_its_line_and_bounded(left: str, now: str, said: str) -> None:
    assert rollback._first_difference(left, now) == said


def test_every_difference_is_named_at_once() -> None:
    now = edited(edited(CLEANED, MAIN_CF, "biff = no", "biff = yes"), INTERFACES, "auto lo", "auto  lo")
    now = now.model_copy(update={"rehab_cron": None})
    elsewhere = LiveAddress("eth1", UNUSED[0], 24, "eth1", "global", False)
    narrower = LiveAddress("eth0", UNUSED[1], 32, "eth0", "global", False)
    now = now.model_copy(update={"addresses": (*now.addresses, elsewhere, narrower)})
    main, cron, interfaces, one, other = refused(now)
    assert main.startswith(f"{MAIN_CF} was changed since the run: ")
    assert main.endswith("-biff = no  +biff = yes")
    assert cron == f"{CRON} is gone, or the estate file names another one"
    assert interfaces.endswith("-auto lo  +auto  lo")
    assert one == f"{UNUSED[0]} is bound again, as {UNUSED[0]}/24 on eth1"
    assert other == f"{UNUSED[1]} is bound again, as {UNUSED[1]}/32 on eth0"


def test_what_a_footprint_does_not_tell_is_not_undone_by_it() -> None:
    change = SetListmonkFrom(host="mta", instance="listmonk", before="a@b.test", after="c@d.test")
    past = remembered(RUN, CLEANUP.model_copy(update={"changes": (change,)}))
    (reason,) = refused(CLEANED, past)
    assert reason.startswith("the From of listmonk is no part of a footprint")


def test_another_owner_or_mode_is_a_difference() -> None:
    cron = CLEANED.rehab_cron
    assert cron
    now = CLEANED.model_copy(update={"rehab_cron": cron.model_copy(update={"mode": "600"})})
    assert refused(now) == (f"{CRON} has owner and mode root:root 600 now; they were root:root 644 before the run",)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ({"sha256": "", "owner": "", "mode": ""}, "the backup of {path} is missing: {name}"),
        ({"sha256": "0" * 64}, "the backup {name} is not what run {run} found in {path}"),
        ({"recorded": "0" * 64}, "the backup {name} is not what run {run} found in {path}"),
    ],
    ids=["gone", "changed", "recorded otherwise"],
)
def test_a_backup_that_does_not_confirm_the_plan_is_a_reason(gone: dict[str, str], said: str) -> None:
    expected = [said.format(path=edit.path, name=backup(edit).name, run=RUN) for edit in CLEANUP.edits()]
    assert list(refused(CLEANED, remembered(RUN, CLEANUP, **gone))) == expected


def test_a_backup_that_was_never_listed_is_missing() -> None:
    reasons = refused(CLEANED, PastRun(run=RUN, plan=CLEANUP, backups=()))
    assert reasons == tuple(f"the backup of {edit.path} is missing" for edit in CLEANUP.edits())


def test_an_address_that_is_no_longer_ours_does_not_come_back() -> None:
    mta = ESTATE.mta.model_copy(update={"pool": ("207.174.124.91-207.174.124.109",)})
    (reason,) = refused(CLEANED, estate=ESTATE.model_copy(update={"mta": mta}))
    assert reason == "207.174.124.90 would come back, and it is in no mta.pool of the estate file any more"


def test_a_stream_that_the_old_files_would_not_serve_is_a_reason() -> None:
    streams = {**ESTATE.streams, "trucking": ESTATE.streams["trucking"].model_copy(update={"helo": "new.example.net"})}
    (reason,) = refused(CLEANED, estate=ESTATE.model_copy(update={"streams": streams}))
    assert reason.startswith("stream trucking: transport out05 says HELO mta05.performancewest.net, not new")


# the undo of an undo


def test_an_undo_is_undone_files_first_and_the_last_address_that_came_goes_first() -> None:
    again = rollback.plan(PAST_UNDO, RESTORED, ESTATE)
    targets = [change.target for change in again.changes]
    assert targets[:5] == [MAIN_CF, MASTER_CF, "postfix", CRON, INTERFACES]
    assert targets[5:] == [f"{address}/24 on eth0" for address in reversed(UNUSED)]
    assert perfwest.carried_out(again, RESTORED) == CLEANED
    assert again.changes[0].why == f"undo of {UNDO}: undo of {RUN}: parameters of transports that go"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ssh_address": "207.174.124.99"}, "207.174.124.99 carries this SSH session"),
        (
            {"routes": (Route("default", "eth0", source="207.174.124.99"),)},
            "207.174.124.99 is the source of the route to default",
        ),
        ({"listeners": (("207.174.124.99", 8080),)}, "something listens on 207.174.124.99:8080"),
        ({"queued_transports": {"4A1": "out07"}}, "1 queued message(s) are bound to transport out07 (4A1)"),
        (
            {"published": {"example.net": ("207.174.124.96/28",)}},
            "still authorised by the published SPF of example.net",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_protects_an_address_from_a_cleanup_protects_it_from_an_undo(change: dict[str, Any], said: str) -> None:
    assert any(said in reason for reason in refused(RESTORED.model_copy(update=change), PAST_UNDO))


def test_the_primary_address_trap_is_seen() -> None:
    trap = tuple(LiveAddress(**{**vars(live), "secondary": live.address != UNUSED[0]}) for live in RESTORED.addresses)
    (reason,) = refused(RESTORED.model_copy(update={"addresses": trap}), PAST_UNDO)
    assert reason.startswith(f"{UNUSED[0]} is the primary address of its subnet and promote_secondaries is 0")
    promoted = RESTORED.model_copy(update={"addresses": trap, "promote_secondaries": True})
    assert len(rollback.plan(PAST_UNDO, promoted, ESTATE).removed_addresses()) == len(UNUSED)


def test_an_address_that_a_stream_uses_now_does_not_go() -> None:
    infrastructure = (*ESTATE.mta.infrastructure, "207.174.124.99")
    mta = ESTATE.mta.model_validate(ESTATE.mta.model_dump(mode="json") | {"infrastructure": infrastructure})
    reasons = refused(RESTORED, PAST_UNDO, ESTATE.model_copy(update={"mta": mta}))
    assert reasons == ("207.174.124.99 would go, and it belongs to a stream or to mta.infrastructure now",)


def test_an_address_that_came_and_moved_is_a_difference() -> None:
    moved = tuple(
        LiveAddress(**{**vars(live), "interface": "eth1"}) if live.address == UNUSED[0] else live
        for live in RESTORED.addresses
    )
    reasons = refused(RESTORED.model_copy(update={"addresses": moved}), PAST_UNDO)
    assert reasons == (f"{UNUSED[0]}/24 on eth0 is {UNUSED[0]}/24 on eth1 now",)


# the proof, and what is told


def test_all_holds_after_the_undo_and_what_does_not_is_found() -> None:
    assert failed(rollback.findings(PAST, PLAN, RESTORED, ESTATE, "now")) == []
    (came,) = (one for one in rollback.findings(PAST, PLAN, RESTORED, ESTATE, "now") if "addresses" in one.check)
    assert (came.at, came.observed) == ("now", ", ".join(UNUSED))
    wrong = RESTORED.model_copy(
        update={
            "addresses": RESTORED.addresses[:-1],
            "main_cf": RESTORED.main_cf.model_copy(update={"mode": "600"}),
            "queued_transports": {"4A1": "nowhere"},
        }
    )
    bad = [one.check for one in failed(rollback.findings(PAST, PLAN, wrong, ESTATE, "now"))]
    assert bad == [
        "queued mail without a transport",
        f"{MAIN_CF}, owner and mode",
        "addresses that come",
        "the same undo again",
    ]


def test_an_address_that_should_have_gone_is_found() -> None:
    plan = rollback.plan(PAST_UNDO, RESTORED, ESTATE)
    assert failed(rollback.findings(PAST_UNDO, plan, CLEANED, ESTATE, "now")) == []
    added = next(change for change in PLAN.changes if isinstance(change, AddAddress))
    still = perfwest.carried_out(Plan(procedure="x", estate="x", host="mta", changes=(added,)), CLEANED)
    bad = [one.check for one in failed(rollback.findings(PAST_UNDO, plan, still, ESTATE, "now"))]
    assert bad == ["addresses that go, still live", "the same undo again"]


def test_what_was_seen_and_done_is_told() -> None:
    assert rollback.summary(PAST, CLEANED)[0] == (
        f"run {RUN} was a snowshoe-cleanup: 22 changes, 0 of them are taken back already"
    )
    assert "22 changes, 22 of them are" in rollback.summary(PAST, BEFORE)[0]
    assert rollback.done(PAST, PLAN) == (
        f"run {RUN} is undone: 4 files as before it, 18 addresses added, 0 removed, verification passed"
    )


def test_what_a_host_remembers_survives_json() -> None:
    assert PastRun.model_validate_json(PAST_UNDO.model_dump_json()) == PAST_UNDO
