"""The DMARC report as Markdown: all of its figures, and nothing that a stranger wrote becomes markup."""

import re
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import pytest
from markdown_it.token import Token

from deliverability.dmarc.alerts import Alert, Urgency
from deliverability.dmarc.summary import Day, summarise
from deliverability.dmarc.traffic import Line, kinds
from reports import charts, render
from reports.dmarc import UNUSABLE_SHOWN, DmarcReport, Unusable, markdown
from tests.reading import MARKDOWN, table
from tests.reports.test_render import HOSTILE

LAST = date(2026, 6, 23)
CHART = charts.volume([Day(LAST, 5, 80.0)])
OWN = {"207.174.124.94": "stream trucking", "207.174.124.107": "stream healthcare"}
NAMES = [
    *HOSTILE,
    "www.evil.test",
    "see https://evil.test/?a=b, HTTP://192.0.2.1 or ftp://192.0.2.1",
    "mailto:a@evil.test, a@evil.test, xmpp:a@evil.test",
    "<http://192.0.2.1/>",
    "[x][y]\n\n[y]: http://192.0.2.1",
    "![](data:image/png;base64,iVBORw0KGgo=)",
    "{{ 7*7 }}{% raw %}%s{0}${HOME}",
    '=HYPERLINK("http://192.0.2.1")',
    "\\",
    "|",
    "",
]


def lines(text: str) -> list[Line]:
    """The messages of an own and of another sender, with `text` wherever a reporter can put some."""
    values: dict[str, Any] = {
        "day": LAST,
        "sender": text,
        "org": text,
        "author": text,
        "disposition": text,
        "dkim_aligned": True,
        "spf_aligned": False,
        "dkim": ((text, text, "pass"), (text, text, text)),
        "reasons": ((text, text),),
    }
    today = [Line(source=source, count=3, **values) for source in ("207.174.124.94", "2001:db8::7", "198.51.100.7")]
    before = Line(source="207.174.124.94", count=2, **(values | {"day": LAST - timedelta(days=1)}))
    return [*today, before]


def report(text: str, **other: Any) -> DmarcReport:
    found = lines(text)
    first = LAST - timedelta(days=6)
    figures = summarise(found, OWN, kinds(found, OWN, ("performancewest.net",)), first, LAST, first)
    values: dict[str, Any] = {
        "title": text,
        "first": first,
        "last": LAST,
        "summary": figures,
        "mails": {text: 5},
        "alerts": [Alert(text, Urgency.URGENT, text)],
        "all_unusable": [Unusable(text, text)],
        "dropped": {text: 2},
        "charts": [CHART],
    }
    return DmarcReport(**(values | other))


@cache
def hostile(text: str) -> str:
    return markdown(report(text))


def inlines(text: str) -> list[Token]:
    """Every piece of the report that is no block, with the blocks themselves."""
    found = []
    for token in MARKDOWN.parse(text):
        found += [token, *(token.children or [])]
    return found


def shape(text: str) -> list[str]:
    """All markup of the report, text left out."""
    names = [f"{token.type} {token.tag}" for token in inlines(text)]
    return [name for name in names if not name.startswith(("text", "inline", "code_inline"))]


@pytest.mark.parametrize("text", NAMES)
def test_a_hostile_name_adds_no_markup(text: str) -> None:
    assert shape(hostile(text)) == shape(hostile("words"))


@pytest.mark.parametrize("text", NAMES)
def test_the_charts_are_the_only_images_and_there_is_no_link_and_no_html(text: str) -> None:
    tokens = inlines(hostile(text))
    assert [token.attrs["src"] for token in tokens if token.type == "image"] == [CHART]
    assert not [token for token in tokens if re.search("link|html|fence|code_block", token.type)]


@pytest.mark.parametrize("text", NAMES)
def test_nothing_is_left_that_becomes_a_link_by_itself(text: str) -> None:
    # In code no link is made; elsewhere GitHub's Markdown, and Prefect's, makes some of these.
    prose = re.sub(r"`[^`\n]*`", "", hostile(text))
    assert not re.search(r"(?i)www\.|[a-z]://|(?<!\\)@", prose)


@pytest.mark.parametrize("text", [name for name in NAMES if re.fullmatch(r"[\x20-\x7e]+", name)])
def test_a_hostile_name_is_read_as_it_was_written(text: str) -> None:
    shown = hostile(text)
    assert table(shown, "Who reports") == [[text, "11"]]
    assert [row[0] for row in table(shown, "Domains in From")] == [text.strip()]
    assert {row[2] for row in table(shown, "Other senders")} == {text}


@pytest.mark.parametrize("text", NAMES)
def test_nothing_that_a_terminal_obeys_or_that_hides_text_comes_through(text: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", hostile(text))


def test_the_figures_are_in_their_tables() -> None:
    shown = markdown(report("words"))
    assert "**11 messages**" in shown
    assert "100.0 % pass DMARC, 2026-06-17 to 2026-06-23" in shown
    assert table(shown, "Our streams") == [["stream trucking", "5", "100.0 %", "100.0 %", "0.0 %", "words 5"]]
    assert table(shown, "Our addresses") == [["207.174.124.94", "5", "100.0 %", "100.0 %", "0.0 %", "words 5"]]
    assert [row[0] for row in table(shown, "Other senders")] == ["198.51.100.7", "2001:db8::7"]
    assert table(shown, "What changed on the last day") == [
        ["198.51.100.7", "0", "3", "0", "0"],
        ["2001:db8::7", "0", "3", "0", "0"],
    ]


def test_names_of_senders_have_a_column_where_some_are_known() -> None:
    figures = report("words").summary
    named = tuple(replace(group, pointer=f"{group.messages}.evil|test") for group in figures.sources)
    rows = table(markdown(report("words", summary=replace(figures, sources=named))), "Other senders")
    assert [row[:4] for row in rows] == [
        ["198.51.100.7", "3.evil|test", "unknown", "words"],
        ["2001:db8::7", "3.evil|test", "unknown", "words"],
    ]


def test_without_an_estate_there_are_no_alerts_and_no_others() -> None:
    found = lines("words")
    figures = summarise(found, {}, kinds(found, {}, ()), LAST, LAST, LAST)
    shown = markdown(report("words", summary=figures, alerts=None))
    assert re.findall(r"^## (.*)$", shown, re.MULTILINE)[:3] == ["Summary", "Domains in From", "Senders"]
    assert "## Alerts\n\nNone." in markdown(report("words", alerts=[]))


def test_much_that_cannot_be_used_is_cut_and_counted() -> None:
    many = [Unusable(f"file {number}", "no report") for number in range(UNUSABLE_SHOWN + 3)]
    shown = markdown(report("words", all_unusable=many))
    assert f"`file {UNUSABLE_SHOWN - 1}`: no report\n- and 3 more\n" in shown


def test_a_name_that_looks_like_an_address_is_escaped_once() -> None:
    assert render.cell("www.a.b http://c a@b.c") == r"www\.a.b http\://c a\@b.c"
