"""A change that goes wrong half-way is undone to the byte; where it cannot be, a person is told what to type."""

import json
import time
from pathlib import Path

import pytest
from estate_probes import until

from estates import GUARDS, MASTER_CF, PATIENCE, Desk
from rehearsal import faults

pytestmark = pytest.mark.rehearsal

NOTICED_SECONDS = 15


def line_is_there(desk: Desk, event: str, change: str) -> bool:
    """Whether the journal has a line of this event about the first change of this kind or target."""
    journal = desk.journal()
    number = next((entry["number"] for entry in journal if change in (entry.get("change"), entry.get("target"))), None)
    return any((entry["event"], entry["number"]) == (event, number) for entry in journal)


def test_a_stream_whose_transport_breaks_in_the_change_is_undone_to_the_byte(desk: Desk) -> None:
    before = desk.substance()
    with desk.start("run", "--unattended") as run:
        assert until(lambda: line_is_there(desk, "after", MASTER_CF), PATIENCE)
        # out05 carries the trucking stream; this is what somebody else's configuration management does meanwhile.
        desk.shell(f"sed -i 's/smtp_bind_address=207.174.124.94/smtp_bind_address=207.174.124.71/' {MASTER_CF}")
        out, err = run.communicate(timeout=2 * PATIENCE)
    assert run.returncode == 4, (out, err)
    assert desk.substance() == before
    record, markdown = desk.report()
    bad = {finding["check"] for finding in record["findings"] if finding["verdict"] == "fail"}
    assert f"{MASTER_CF} to the byte" in bad
    assert "mail of stream trucking" in record["summary"] or "to the byte" in record["summary"]
    assert "the old state is back" in markdown
    desk.assert_both_streams_flow()


def test_an_undo_that_fails_tells_a_person_word_for_word_and_the_host_goes_on_trying(
    desk: Desk, listener: tuple[str, Path]
) -> None:
    before = desk.substance()
    address, told = listener
    (desk.var / "on-call").write_text(f"{address}\n")
    desk.write_estate(f'[guard]\nminutes = 0.35\n[notifications]\nurls = "file:{desk.var}/on-call"')
    reload_fails = faults.find("reload-fails")
    with desk.start("run", "--unattended") as run:
        assert until(lambda: line_is_there(desk, "before", "remove-address"), PATIENCE)
        reload_fails.inject(desk.estate, "mta")
        # ... and what was loaded last is broken, so that the proof fails as well
        desk.shell(f"sed -i 's/smtp_bind_address=207.174.124.94/smtp_bind_address=207.174.124.71/' {MASTER_CF}")
        out, err = run.communicate(timeout=2 * PATIENCE)
    assert run.returncode == 5, (out, err)
    record, markdown = desk.report()
    assert record["status"] == "undo failed, a person is needed"
    words = f"cat {GUARDS}/{record['run']}/undo.log; sh {GUARDS}/{record['run']}/guard.sh undo"
    message = json.loads(told.read_text())
    assert message["title"] == f"rehearsal: undo failed, a person is needed (snowshoe-cleanup, run {record['run']})"
    for place in (message["message"], err, "\n".join(record["open_items"])):
        assert words in place
    assert "FAILED to reload Postfix" in message["message"]
    assert "tell a person" in markdown
    held = desk.run("plan")
    assert held.returncode == 75
    assert f"the undo of run {record['run']} failed at" in held.stderr
    reload_fails.mend(desk.estate, "mta")
    assert until(lambda: desk.guard("state").startswith("undone "), 2 * PATIENCE), desk.guard("undo.log")
    assert " by its guard" in desk.guard("state")
    assert until(lambda: desk.substance() == before, PATIENCE), desk.substance()
    desk.assert_both_streams_flow()


def test_a_dead_connection_is_said_while_it_is_dead(desk: Desk) -> None:
    with desk.start("run", "--unattended") as run:
        assert run.stderr is not None
        assert until(lambda: line_is_there(desk, "after", "remove-address"), PATIENCE)
        desk.estate.cut("mta")
        cut = time.monotonic()
        try:
            while "has not answered" not in (line := run.stderr.readline()):
                assert line, "the run ended without a word"
            noticed = time.monotonic() - cut
        finally:
            desk.estate.mend("mta")
        out, err = run.communicate(timeout=2 * PATIENCE)
    assert noticed < NOTICED_SECONDS
    assert line.startswith("mta has not answered for 10 s (")
    assert run.returncode == 0, (out, err)
    desk.assert_both_streams_flow()
