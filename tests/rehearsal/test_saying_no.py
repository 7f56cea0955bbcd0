"""A run that is told no by a person, the clock, the host or the proof: nothing is changed, or all is undone."""

from collections.abc import Iterator

import pytest

from estates import CTRL_C, CTRL_D, FILES, GUARDS, MAIN_CF, MASTER_CF, Desk

pytestmark = pytest.mark.rehearsal

GO = {f"207.174.124.{last}" for last in (*range(90, 94), *range(95, 107), 108, 109)}


# ways to say no


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("reject\nAnn\nnot today\n", "the plan was rejected by Ann: not today"),
        ("\n\n\n", "the plan was rejected by root: no reason given"),
        (CTRL_D, "the plan was rejected by root: end of input at the prompt"),
        (CTRL_C, "the plan was rejected by root: interrupted at the prompt"),
    ],
    ids=["reject", "enter alone", "ctrl-d", "ctrl-c"],
)
def test_a_no_at_the_prompt_changes_nothing_and_leaves_a_report(desk: Desk, typed: str, said: str) -> None:
    before = desk.everything()
    person = desk.at_terminal("run")
    person.digest()
    person.type(typed)
    code, out = person.end()
    assert (code, out.splitlines()[0]) == (3, f"rejected: {said}")
    record, markdown = desk.report()
    assert (record["status"], record["decision"]["choice"], record["actions"]) == ("rejected", "reject", [])
    assert "Nothing was changed." in markdown
    assert desk.everything() == before


def test_a_prompt_that_nobody_answers_changes_nothing_and_leaves_a_report(desk: Desk) -> None:
    desk.write_estate("[gates]\ntimeout_hours = 0.002")
    before = desk.everything()
    person = desk.at_terminal("run")
    person.digest()
    code, out = person.end()
    assert (code, out.splitlines()[0][:42]) == (3, "rejected: the plan was rejected by timeout")
    record, markdown = desk.report()
    assert (record["decision"]["choice"], record["decision"]["via"]) == ("reject", "timeout")
    assert "Nothing was changed." in markdown
    assert desk.everything() == before


def test_without_a_terminal_nobody_agrees(desk: Desk) -> None:
    before = desk.everything()
    done = desk.run("run")
    assert done.returncode == 3
    assert done.stdout.startswith("rejected: the plan was rejected by root: no terminal to ask at\n")
    assert desk.report()[0]["status"] == "rejected"
    assert desk.everything() == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (MASTER_CF, "# rehab05 never needed, out05 is clean", "# rehab05 never needed"),
        (MAIN_CF, "biff = no", "biff = yes"),
    ],
    ids=["near the change", "far from it"],
)
def test_a_change_after_the_plan_makes_the_approval_void(desk: Desk, path: str, old: str, new: str) -> None:
    person = desk.at_terminal("run")
    digest = person.digest()
    person.type(f"approve\n{'0' * 12}\nAnn\nCHG-1\n")
    shown = person.wait_for("decision: ")
    assert f"That cannot be taken: the digest {'0' * 12} is not of this plan, which is {digest}." in shown
    desk.edit(path, old, new)
    before = desk.everything()
    person.type("approve\n")
    for question, words in (("digest:", digest), ("name:", "Ann"), ("reason:", "CHG-1")):
        person.wait_for(question)
        person.type(f"{words}\n")
    code, out = person.end()
    assert code == 3
    assert f"the estate changed since the approval: {digest} was approved" in out
    record, markdown = desk.report()
    assert (record["status"], record["decision"]["by"], record["actions"]) == ("refused", "Ann", [])
    assert {f"-{old}", f"+{new}"} <= {line.strip() for line in record["difference"].splitlines()}
    assert "### What changed since the approval" in markdown
    assert desk.everything() == before


# a proof that fails


@pytest.fixture
def refusing(desk: Desk) -> Iterator[Desk]:
    """Yahoo, where the probe of the trucking stream goes, refuses all mail."""
    desk.estate.receiver("yahoo").reply(rcpt="550 5.7.1 not from you")
    yield desk
    desk.estate.receiver("yahoo").reply_normally()


def test_a_failed_verification_undoes_everything(refusing: Desk) -> None:
    desk = refusing
    before = desk.substance()
    reloads = desk.shell("grep -c 'reload --' /var/log/mail.log || true")
    done = desk.run("run", "--unattended")
    assert done.returncode == 4, done.stderr
    assert desk.substance() == before
    assert int(desk.shell("grep -c 'reload --' /var/log/mail.log")) == int(reloads) + 2, "for the change, for the undo"
    assert desk.shell(f"cut -d' ' -f1 {GUARDS}/current/state") == "undone\n"
    record, markdown = desk.report()
    assert record["status"] == "verification failed, undone"
    (bad,) = (finding for finding in record["findings"] if finding["verdict"] == "fail")
    assert bad["check"] == "mail of stream trucking"
    assert "550 5.7.1 not from you" in bad["observed"]
    assert "mail of stream trucking" in record["summary"]
    undo = "\n".join(record["undo"])
    for path in FILES:
        assert f"restored {path} from /root/" in undo
    for address in GO:
        assert f"added {address}/24 to eth0" in undo
    assert "the old state is back" in markdown
    desk.assert_both_streams_flow()
