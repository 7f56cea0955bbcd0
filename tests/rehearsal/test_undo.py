"""A finished run is taken back on a real host, and so is that undo; and every way in which the host says no to it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from estate_probes import PROJECT, until

from blocks import past_run
from deliverability import estate as estates_model
from deliverability.errors import HostError, Refused, RunbookError
from deliverability.rollback import PastRun
from deployments import settings
from deployments.rehearse import prefect_home
from estates import FILES, GUARDS, INTERFACES, MAIN_CF, MASTER_CF, PATIENCE, REHAB_CRON, Desk

pytestmark = pytest.mark.rehearsal

UNKNOWN, FORGED = "20260101T000000-unknown", "20260101T000000-forged"
PLAN: dict[str, Any] = {"procedure": "p", "estate": "rehearsal", "host": "mta", "changes": []}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One host for all of this file: each test finds it as the one before it left it."""
    return Desk(tmp_path_factory.mktemp("undo"))


@pytest.fixture(scope="module")
def before(desk: Desk) -> dict[str, str]:
    return state(desk)


@pytest.fixture(scope="module")
def cleanup(desk: Desk, before: dict[str, str]) -> str:
    """The name of a cleanup that finished."""
    done = desk.run("run", "--unattended")
    assert done.returncode == 0, done.stderr
    return str(desk.reports()[-1]["run"])


@pytest.fixture(scope="module")
def cleaned(desk: Desk, cleanup: str) -> dict[str, str]:
    return state(desk)


@pytest.fixture(scope="module")
def undo(desk: Desk, cleanup: str, cleaned: dict[str, str]) -> dict[str, Any]:
    """The record of its undo."""
    assert taken_back(desk, cleanup).returncode == 0
    return desk.reports("undo")[-1]


def state(desk: Desk) -> dict[str, str]:
    """What must be the same again, but for the age of the files: they were written anew."""
    found = desk.substance()
    return {**found, "files": re.sub(r"^(\S+ \d+ \S+) \d+$", r"\1", found["files"], flags=re.MULTILINE)}


def taken_back(desk: Desk, run: str) -> "subprocess.CompletedProcess[str]":
    return desk.run("undo", run, "--unattended")


def test_a_file_that_was_edited_since_is_refused_with_what_differs(desk: Desk, cleanup: str) -> None:
    old, new = "# rehab05 never needed, out05 is clean", "# rehab05: see CHG-7"
    desk.edit(MASTER_CF, old, new)
    before = desk.everything()
    done = taken_back(desk, cleanup)
    assert done.returncode == 3, done.stderr
    assert re.search(rf"{MASTER_CF} was changed since the run: line \d+: -{old}  \+{new}\n", done.stdout)
    assert f"next: settle these, then: runbook undo {cleanup} --estate rehearsal" in done.stderr
    record = desk.reports("undo")[-1]
    assert (record["status"], record["plan"], record["actions"]) == ("refused", None, [])
    assert desk.everything() == before
    desk.edit(MASTER_CF, new, old)
    desk.shell("postfix reload; sleep 1.1")


def test_a_backup_that_is_gone_and_an_address_that_was_bound_again_are_refused(desk: Desk, cleanup: str) -> None:
    backup = f"/root/main.cf.bak_snowshoe_{cleanup}"
    desk.shell(f"mv {backup} /root/aside; ip addr add 207.174.124.90/32 dev eth0")
    before = desk.everything()
    done = taken_back(desk, cleanup)
    assert done.returncode == 3
    assert f"  - the backup of {MAIN_CF} is missing: {backup}\n" in done.stdout
    assert "  - 207.174.124.90 is bound again, as 207.174.124.90/32 on eth0\n" in done.stdout
    assert desk.everything() == before
    desk.shell(f"mv /root/aside {backup}; ip addr del 207.174.124.90/32 dev eth0")


def test_a_run_that_is_not_there_is_refused_and_those_that_are_there_are_named(desk: Desk, cleanup: str) -> None:
    done = taken_back(desk, UNKNOWN)
    assert done.returncode == 3
    assert f"refused: mta: no run begins with {UNKNOWN}\n" in done.stdout
    assert f"next: name one of those on mta, the newest are: {cleanup}\n" in done.stderr


def test_what_can_be_no_run_is_an_error(desk: Desk) -> None:
    done = taken_back(desk, "../../etc")
    assert done.returncode == 1
    assert "error: '../../etc' is no run: " in done.stdout


def test_the_beginning_of_a_name_is_enough_and_a_person_can_say_no(desk: Desk, cleanup: str) -> None:
    before = desk.everything()
    person = desk.at_terminal("undo", cleanup[:12])
    shown = person.wait_for("decision: ")
    assert f"+ mta: address 207.174.124.90/24 on eth0 (undo of {cleanup}: no stream uses it)" in shown
    person.type("reject\nAnn\nonly looking\n")
    code, out = person.end()
    assert (code, out.splitlines()[0]) == (3, "rejected: the plan was rejected by Ann: only looking")
    assert desk.everything() == before


def test_the_host_is_as_it_was_before_the_run(desk: Desk, before: dict[str, str], undo: dict[str, Any]) -> None:
    assert state(desk) == before
    assert (undo["status"], undo["exit_code"]) == ("done", 0)
    assert {finding["verdict"] for finding in undo["findings"]} == {"ok", "not applicable"}
    kinds = [change["kind"] for change in undo["plan"]["changes"]]
    assert kinds == ["add-address"] * 18 + ["edit-file"] * 3 + ["reload-service", "edit-file"]
    assert [change["path"] for change in undo["plan"]["changes"] if "path" in change] == [
        INTERFACES, MAIN_CF, MASTER_CF, REHAB_CRON
    ]  # fmt: skip
    arrived = [finding for finding in undo["findings"] if finding["where"].startswith("receiver ")]
    assert len(arrived) == 2
    assert desk.shell(f"cat {GUARDS}/{undo['run']}/state").startswith("disarmed ")
    for path in FILES:
        assert desk.shell(f"ls /root/{Path(path).name}.bak_undo_{undo['run']}")
    desk.assert_both_streams_flow()


def test_what_came_back_sends_again(desk: Desk, undo: dict[str, Any]) -> None:
    assert desk.mail(2527) == ("207.174.124.108", "hcmta02.performancewest.net")


def test_undone_again_there_is_nothing_to_do(desk: Desk, cleanup: str, undo: dict[str, Any]) -> None:
    before = desk.everything()
    done = taken_back(desk, cleanup)
    assert done.returncode == 0
    assert done.stdout.startswith(f"nothing to do: the host is as it was before run {cleanup}")
    assert desk.everything() == before


def test_an_undo_is_undone(desk: Desk, cleaned: dict[str, str], undo: dict[str, Any]) -> None:
    done = taken_back(desk, undo["run"])
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert state(desk) == cleaned
    assert f"run {undo['run']} is undone: 4 files as before it, 0 addresses added, 18 removed" in done.stdout
    assert desk.run("plan").returncode == 0, "nothing to clean up"
    desk.assert_both_streams_flow()


def test_an_undo_that_fails_its_proof_is_undone_by_its_guard_and_then_there_is_nothing_to_undo(
    desk: Desk, cleanup: str, cleaned: dict[str, str]
) -> None:
    desk.estate.receiver("yahoo").reply(rcpt="550 5.7.1 not from you")
    try:
        failed = taken_back(desk, cleanup)
    finally:
        desk.estate.receiver("yahoo").reply_normally()
    assert failed.returncode == 4, failed.stderr
    assert state(desk) == cleaned
    run = desk.reports("undo")[-1]["run"]
    before = desk.everything()
    done = taken_back(desk, run)
    assert done.returncode == 3
    assert f"mta: run {run} was undone already, at 20" in done.stdout
    assert "next: nothing: there is nothing to undo" in done.stderr
    assert desk.everything() == before


def test_it_waits_for_a_person_when_it_is_started_from_its_deployment(
    desk: Desk, cleanup: str, cleaned: dict[str, str], before: dict[str, str]
) -> None:
    assert state(desk) == cleaned
    home = prefect_home(desk.estate.state)
    environment = {**desk.environment, **settings.environment(home, settings.port_of(home))}
    argv = [sys.executable, "-m", "prefect", "deployment", "run", "undo/rehearsal", "--param", f"run={cleanup}"]
    started = desk.estate.hub_run(argv, timeout=PATIENCE, env=environment, cwd=PROJECT)
    assert started.returncode == 0, started.stderr
    (waiting,) = until(lambda: json.loads(desk.run("approvals", "--json").stdout)["waiting"], PATIENCE, every=1)
    assert waiting["procedure"] == "undo"
    assert state(desk) == cleaned
    answer = ("--digest", waiting["digest"][:12], "--by", "Ann", "--reason", "CHG-8")
    assert desk.run("approve", waiting["name"], *answer).returncode == 0
    assert until(lambda: state(desk) == before, PATIENCE), state(desk)


class TestWhatTheHostRemembers:
    """The directory of a run, read by the block alone: every state, and what cannot be taken for a run of ours."""

    @pytest.fixture
    def forged(self, desk: Desk) -> Iterator[str]:
        """The directory of a run that never was: confirmed, with a plan that changed nothing."""
        directory = f"{GUARDS}/{FORGED}"
        desk.shell(f"mkdir -p {directory}; echo 'disarmed 2026-01-01T00:05:00Z by a run' > {directory}/state")
        desk.shell(f"cd {directory}; echo '2026-01-01 00:10:00 UTC' > deadline; touch files hashes")
        desk.write(f"{directory}/plan.json", json.dumps(PLAN))
        yield directory
        desk.shell(f"rm -r {directory}*")

    @pytest.fixture
    def read(self, desk: Desk) -> Callable[[str], PastRun]:
        model = estates_model.load(PROJECT / "estates" / "rehearsal.toml")

        def read(run: str) -> PastRun:
            with desk.connected(desk.host().observe()) as reader:
                return past_run.read(reader, model, run)

        return read

    def test_a_run_that_changed_nothing(self, forged: str, read: Callable[[str], PastRun]) -> None:
        assert (read(FORGED[:9]).run, read(FORGED).backups) == (FORGED, ())

    @pytest.mark.parametrize(
        ("state", "said", "next_step"),
        [
            ("new", "never began to change anything", "there is nothing to undo"),
            ("armed 2026", "is not confirmed; its guard undoes it at 2026-01-01 00:10:00 UTC", "wait for it, or"),
            ("undone 2026 by hand", "was undone already, at 2026 by hand", "there is nothing to undo"),
            ("failed 2026", "was undone, but not all of it came back", "guard.sh undo"),
            ("odd", "has left no state that is known: odd", "look at it on the host"),
            ("", "has left no state that is known: none", "look at it on the host"),
        ],
    )
    def test_only_a_confirmed_run_is_undone(
        self, desk: Desk, forged: str, read: Callable[[str], PastRun], state: str, said: str, next_step: str
    ) -> None:
        desk.write(f"{forged}/state", f"{state}\n")
        with pytest.raises(Refused) as refused:
            read(FORGED)
        assert refused.value.fact == f"mta: run {FORGED} {said}"
        assert next_step in refused.value.next_step

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"procedure": "p"}', json.dumps({**PLAN, "changes": [{}]})])
    def test_a_plan_that_cannot_be_understood_is_an_error(
        self, desk: Desk, forged: str, read: Callable[[str], PastRun], text: str
    ) -> None:
        desk.write(f"{forged}/plan.json", text)
        with pytest.raises(HostError, match=rf"mta: {forged}/plan.json is no plan: ") as error:
            read(FORGED)
        assert error.value.next_step == f"undo it by hand: {forged}/files names the backups"

    @pytest.mark.parametrize("other", [{"estate": "other"}, {"host": "other"}], ids=["estate", "host"])
    def test_a_run_of_another_estate_or_host_is_refused(
        self, desk: Desk, forged: str, read: Callable[[str], PastRun], other: dict[str, str]
    ) -> None:
        desk.write(f"{forged}/plan.json", json.dumps(PLAN | other))
        with pytest.raises(Refused, match=f"run {FORGED} was made for "):
            read(FORGED)

    def test_a_beginning_that_two_runs_have_is_refused_and_a_whole_name_is_not(
        self, desk: Desk, forged: str, read: Callable[[str], PastRun]
    ) -> None:
        desk.shell(f"cp -r {forged} {forged}-2")
        with pytest.raises(Refused, match=f"mta: 2 runs begin with {FORGED[:9]}") as refused:
            read(FORGED[:9])
        assert refused.value.next_step.endswith(f"{FORGED}, {FORGED}-2")
        assert read(FORGED).run == FORGED

    @pytest.mark.parametrize(
        "name", ["", ".", "..", "current", "../x", "2026/x", "2026 x", "2026\n", "2" * 65, "-2026"]
    )
    def test_what_can_be_no_run_is_no_path(self, read: Callable[[str], PastRun], name: str) -> None:
        with pytest.raises(RunbookError, match="is no run: "):
            read(name)
