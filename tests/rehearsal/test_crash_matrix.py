"""A case of the crash matrix, which `make faults` plays in full, and the table it prints."""

import pytest
from crash_case import Case, Outcome, Stage
from crash_matrix import table
from crash_passes import cases, fill_and_kill
from crash_points import CHANGES, Point, points

from estates import estate


@pytest.fixture(scope="module")
def stage() -> Stage:
    return Stage(estate())


def point(name: str) -> Point:
    (found,) = [point for point in points() if point.name == name]
    return found


@pytest.mark.rehearsal
def test_an_undo_on_a_full_disk_gives_the_old_state_back(stage: Stage) -> None:
    outcome = stage.play(Case("full", point("after change 9"), fill_and_kill))
    assert (outcome.end, outcome.hung, outcome.mail) == ("old", False, True), outcome


def test_the_matrix_kills_a_run_at_each_line_of_its_journal_and_around_it() -> None:
    names = [point.name for point in points()]
    assert len(names) == len(set(names)) >= 60
    for number in range(1, CHANGES + 1):
        assert {f"before change {number}", f"after change {number}"} < set(names)
    assert {name.partition(":")[0] for name in names} >= {"arming", "verifying", "disarming"}
    killed = [case.point.name for case in cases() if case.kind == "flow killed, the guard is awaited"]
    assert killed == names


def test_the_table_counts_what_is_between_the_two_states() -> None:
    def outcome(end: str, seconds: float, hung: bool = False, mail: bool = True) -> Outcome:
        return Outcome("cut", "somewhere", True, end, seconds, hung, mail, "")

    played = [outcome("old", 3), outcome("new", 31.4), outcome("half-changed", 5, hung=True, mail=False)]
    assert table(played).splitlines()[-1] == "| cut | 3 | 1 | 1 | 0 | 1 | 1 | 1 | 31 |"
    assert [one.bad for one in played] == [False, False, True]
