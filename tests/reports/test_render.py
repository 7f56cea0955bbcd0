"""Plans and reports as Markdown: complete, exact, and nothing that a host or a person wrote becomes markup."""

import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from deliverability.decision import Choice, Decision
from deliverability.finding import Finding, Verdict
from deliverability.footprint import planning
from deliverability.plan import AddAddress, EditFile, Plan, RemoveAddress
from reports import render
from reports.record import Action, Record, Status
from tests.deliverability.footprint import perfwest

HEADINGS = (
    *("Summary", "Trigger", "Observed", "Plan", "Decision"),
    *("Actions", "Verification", "Undo", "Open items"),
)
PLAN = planning.plan(perfwest.footprint(), perfwest.estate())
HTML = MarkdownIt("commonmark", {"linkify": False}).enable("table")
HOSTILE = [
    "[click](javascript:alert(1))",
    "![x](https://evil.test/track.png)",
    "<script>alert(1)</script>",
    "<javascript:alert(1)>",
    "a | b | c",
    "a \\| b",
    "`; rm -rf / #`",
    "``` fence\n```\n# heading",
    "line\nbreak\r\n\r\n## heading",
    "# heading",
    "- item",
    "1. item",
    "---",
    "> quote",
    "**bold** _it_ ~~gone~~ &lt;b&gt; &#60;b&#62;",
    "\x1b[2J\x1b[31mred\x07\x00\x9b",
    "a\u202egpj.exe\u2066\u200b\u2028b",
]


def change(text: str) -> EditFile:
    return EditFile(host="mta", path="/etc/x", before="same\n", after=f"same\n{text}\n", why="why", items=("item",))


def plan(*changes: Any) -> Plan:
    return Plan(procedure="snowshoe-cleanup", estate="test", host="mta", changes=changes)


def record(**changes: Any) -> Record:
    base: dict[str, Any] = {"run": "r1", "procedure": "p", "estate": "e", "rehearsal": True, "trigger": "t"}
    return Record(**(base | {"started": "2026-06-23T10:00:00+00:00"} | changes))


def full_record(text: str, **changes: Any) -> Record:
    """A record with `text` everywhere a host or a person can put some."""
    edit = change(text).model_copy(update={"path": text, "why": text, "items": (text,)})
    address = {"host": text, "interface": text, "address": text, "prefix": 24, "label": text, "why": text}
    return record(
        run=text,
        estate=text,
        trigger=text,
        summary=text,
        observed=[text],
        plan=plan(edit, RemoveAddress(**address)).model_copy(update={"host": text, "estate": text, "kept": (text,)}),
        decision=Decision(choice=Choice.REJECT, digest=text, by=text, reason=text, at=text, via=text),
        actions=[Action(at=text, what=text, result=text, seconds=1.0)],
        findings=[Finding(check=text, verdict=Verdict.FAIL, expected=text, observed=text, where=text, at=text)],
        difference=text,
        undo=[text],
        open_items=[text],
        **changes,
    )


def markup(markdown: str) -> list[str]:
    """The kinds of all tokens that rendering produces, text left out."""
    kinds = []
    for token in HTML.parse(markdown):
        kinds.append(f"{token.type} {token.tag}")
        kinds += [f"{child.type} {child.tag}" for child in token.children or [] if child.type != "text"]
    return kinds


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("show", [render.report_markdown, lambda record: render.plan_markdown(record.plan)])
def test_hostile_text_adds_no_markup(text: str, show: Any) -> None:
    # As much markup as harmless words make; a pipe turns code into prose, which is no markup either.
    harmless, hostile = (markup(show(full_record(words))) for words in ("words", text))
    assert [kind for kind in hostile if not kind.startswith("code_inline")] == [
        kind for kind in harmless if not kind.startswith("code_inline")
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_link_image_or_html(text: str) -> None:
    kinds = " ".join(markup(render.report_markdown(full_record(text))))
    assert not re.search(r"link_|image|html_|softbreak|blockquote|s_open", kinds)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_or_that_hides_text_comes_through(text: str) -> None:
    shown = render.report_markdown(full_record(text)) + render.plan_markdown(plan(change(text)))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", shown)


@pytest.mark.parametrize("text", [text for text in HOSTILE if re.fullmatch(r"[\x20-\x7e]+", text)])
def test_hostile_text_is_read_as_it_was_written(text: str) -> None:
    for markdown in (render.cell(text), f"- {render.cell(text)}", f"- {render.code(text)}", render.code(text)):
        inline = next(token for token in HTML.parse(markdown) if token.type == "inline")
        assert "".join(child.content for child in inline.children or []) == text


@pytest.mark.parametrize("text", ["a | b", "a \\| b", "`a` || `b`", "|", "2>&1 | cat"])
def test_a_pipe_is_read_as_a_pipe_in_a_table_and_in_a_list(text: str) -> None:
    table = HTML.parse(f"| a | b |\n|---|---|\n| {render.code_cell(text)} | {render.cell(text)} |\n")
    cells = ["".join(part.content for part in token.children or []) for token in table if token.type == "inline"]
    assert cells == ["a", "b", text, text]
    assert "\\" not in render.code("a || b")


def test_dates_and_addresses_stay_readable_in_the_source() -> None:
    for text in ("2026-06-23T10:00:00+00:00", "207.174.124.94 is live", "95.0", "-v", "+x", "18 addresses"):
        assert render.cell(text) == text


@pytest.mark.parametrize("status", list(Status))
def test_every_report_has_all_headings_in_order(status: Status) -> None:
    for ended in (record(status=status), full_record("words", status=status)):
        markdown = render.report_markdown(ended)
        assert markdown.startswith(f"# p: {status}\n")
        assert tuple(re.findall(r"^## (.*)$", markdown, re.MULTILINE)) == HEADINGS


def test_the_json_twin_has_a_schema_and_all_that_the_report_says() -> None:
    data = full_record("words", status=Status.REFUSED, exit_code=3).model_dump(mode="json", by_alias=True)
    assert data["schema"] == 1
    assert (data["status"], data["exit_code"]) == ("refused", 3)
    assert Record.model_validate(data) == full_record("words", status=Status.REFUSED, exit_code=3)
    assert Plan.model_validate(data["plan"]).digest == full_record("words").plan.digest  # type: ignore[union-attr]


def test_a_decision_that_no_person_made_is_called_that() -> None:
    decision = Decision(choice=Choice.APPROVE, digest="d", by="rehearsal", reason="", at="", via="unattended")
    assert "**No person decided this**" in render.report_markdown(record(decision=decision))
    by_person = decision.model_copy(update={"via": "terminal"})
    assert "**No person decided this**" not in render.report_markdown(record(decision=by_person))


def test_a_plan_shows_its_digest_every_item_every_address_and_every_line_that_goes() -> None:
    markdown = render.plan_markdown(PLAN)
    assert f"Digest `{PLAN.short_digest}`" in markdown
    assert f"The whole digest: `{PLAN.digest}`" in markdown
    assert "**23 changes**, in this order" in markdown
    assert f"**18 addresses go**: {', '.join(perfwest.UNUSED)}" in markdown
    for item in (item for edit in PLAN.edits() for item in edit.items):
        assert f"    - `{' '.join(item.split())}`" in markdown
    for edit in PLAN.edits():
        gone = [line[1:] for line in render.diff(edit).splitlines()[2:] if line.startswith("-")]
        assert len(gone) >= len(edit.items)
        assert all(f"\n-{line}\n" in markdown for line in gone)


def test_addresses_that_come_are_counted_and_named() -> None:
    added = [removal.inverse() for removal in PLAN.removed_addresses()[:2]]
    assert "**2 addresses come**: 207.174.124.90, 207.174.124.91\n" in render.plan_markdown(plan(*added))
    assert "addresses come" not in render.plan_markdown(PLAN)


def test_an_empty_plan_says_so() -> None:
    assert "**Nothing to do**" in render.plan_markdown(plan())


def test_headlines_say_which_way_each_change_goes() -> None:
    removal = PLAN.removed_addresses()[0]
    assert render.headline(removal) == "- mta: address 207.174.124.90/24 on eth0  (no stream uses it)"
    added = removal.inverse()
    assert isinstance(added, AddAddress)
    assert render.headline(added).startswith("+ mta: address 207.174.124.90/24 on eth0")
    assert render.headline(PLAN.changes[0]).startswith("~ mta:/etc/postfix/main.cf  (13 item(s)")
    assert render.headline(PLAN.changes[2]).startswith("~ mta: reload postfix")


def test_the_difference_of_two_plans_is_a_diff() -> None:
    after = perfwest.footprint(addresses=tuple(live for live in perfwest.footprint().addresses[:-1]))
    text = render.difference(PLAN, planning.plan(after, perfwest.estate()))
    assert re.match(r"--- .*\bapproved\n\+\+\+ .*\bnow\n@@ ", text)
    assert "-23. `- mta: address 207.174.124.109/24 on eth0 (no stream uses it)`" in text
    assert render.difference(PLAN, PLAN) == ""
    assert "What changed since the approval" in render.report_markdown(record(difference=text))


@pytest.mark.parametrize(
    ("before", "after"), [("a\n", "a"), ("a", "a\n"), ("a\x0cb\n", "a\nb\n"), ("a\u2028b\n", "a\nb\n"), ("", "\n")]
)
def test_a_diff_shows_every_difference(before: str, after: str) -> None:
    edit = change("").model_copy(update={"before": before, "after": after})
    assert any(line[:1] in "+-" for line in render.diff(edit).splitlines()[3:])


def test_a_diff_is_bounded_and_says_how_much_is_missing() -> None:
    text = render.diff(change("x" * 2 * render.DIFF_LIMIT))
    assert len(text) < render.DIFF_LIMIT + 100
    assert re.search(r"\n\.\.\. \d+ characters more\Z", text)
