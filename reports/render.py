"""Plans and reports as text. Everything that comes from a host or a person is escaped here, for Markdown."""

import difflib
import re
import unicodedata
from functools import cache

import jinja2

from deliverability.plan import (
    AddAddress,
    Change,
    EditFile,
    MakeKey,
    Plan,
    ReloadService,
    RemoveAddress,
    SetListmonkFrom,
    SetRecord,
)
from reports.record import Record

DIFF_CONTEXT = 3
DIFF_LIMIT = 60_000
"""Characters of one diff in a report: the plan also stands in the Resume form, which should stay readable."""


def template(name: str) -> jinja2.Template:
    """A template of reports/templates, with the filters that escape what is remote."""
    return _environment().get_template(name)


def plan_markdown(plan: Plan) -> str:
    """The plan as a person reads it before deciding: a summary, every item, and the diffs."""
    return template("plan.md.j2").render(plan=plan).strip() + "\n"


def report_markdown(record: Record) -> str:
    """The report of one run."""
    return template("report.md.j2").render(record=record, plan=record.plan).strip() + "\n"


def difference(before: Plan, after: Plan) -> str:
    """How a new plan differs from the approved one: unified diffs of the files they begin with, then of their texts.

    A change far from what the plan edits shows in the files alone.
    """
    was, now = ({edit.path: edit.before for edit in plan.edits()} for plan in (before, after))
    texts = [(f"{path}, {{}}", was.get(path, ""), now.get(path, "")) for path in sorted({*was, *now})]
    texts.append(("plan, {}", plan_markdown(before), plan_markdown(after)))
    lines = [
        line
        for name, old, new in texts
        for line in difflib.unified_diff(
            old.splitlines(), new.splitlines(), name.format("approved"), name.format("now"), n=2, lineterm=""
        )
    ]
    return _bounded("\n".join(lines))


def diff(edit: EditFile) -> str:
    """The unified diff of one edit, bounded."""
    lines = difflib.unified_diff(
        _lines(edit.before),
        _lines(edit.after),
        edit.path,
        f"{edit.path} (planned)",
        n=DIFF_CONTEXT,
        lineterm="",
    )
    return _bounded("\n".join(lines))


def record_diff(change: SetRecord) -> str:
    """What one record says before and after, a word a line where both say something."""
    before, after = ((text or "").split(" ") if text else [] for text in (change.before, change.after))
    lines = difflib.unified_diff(before, after, "published", "planned", n=DIFF_LIMIT, lineterm="")
    return _bounded("\n".join(list(lines)[3:]))


def _bounded(text: str) -> str:
    return text if len(text) <= DIFF_LIMIT else text[:DIFF_LIMIT] + f"\n... {len(text) - DIFF_LIMIT} characters more"


def headline(change: Change) -> str:
    """One change in one line of plain text."""
    match change:
        case EditFile():
            return f"~ {change.host}:{change.path}  ({len(change.items)} item(s): {change.why})"
        case RemoveAddress():
            return f"- {change.host}: address {change.target}  ({change.why})"
        case AddAddress():
            return f"+ {change.host}: address {change.target}  ({change.why})"
        case ReloadService():
            return f"~ {change.host}: reload {change.service}  ({change.why})"
        case MakeKey():
            return f"+ {change.host}: key {change.target}, {change.bits} bits  ({change.why})"
        case SetRecord():
            sign = "+" if change.before is None else "-" if change.after is None else "~"
            return f"{sign} {change.host}: {change.target}  ({change.why})"
        case SetListmonkFrom():
            return f"~ {change.host}: {change.target}: {change.before!r} -> {change.after!r}  ({change.why})"


def fenced(text: str, language: str = "") -> str:
    """A code block that its content cannot close: the fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def cell(text: object) -> str:
    """Text for a table cell or a line of prose: one line, nothing in it is Markdown or HTML."""
    escaped = re.sub(r"([\\`*_{}\[\]<>|#!~])", r"\\\1", _flat(text).replace("&", "&amp;"))
    # Of these GitHub's Markdown, and Prefect's, makes links by itself: www.example.com, http://example.com, a@b.example
    escaped = re.sub(r"(?i)(?<=www)(\.)|(:)(?=//)|(?<=\S)(@)(?=\S)", lambda found: "\\" + found[0], escaped)
    # These begin a list, a rule or a heading, but only at the start of a line.
    return re.sub(r"^(\d{0,9})([-+=.)])(?= |[-=]*$)", r"\1\\\2", escaped)


def code(text: object) -> str:
    """Text as inline code, exact but for white space; not for tables, which end a cell at any pipe."""
    flat = _flat(text)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    blank = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{blank}{flat}{blank}{fence}" if flat else ""


def code_cell(text: object) -> str:
    """Text as inline code in a table; as escaped prose if there is a pipe in it."""
    return cell(text) if "|" in str(text) else code(text)


def visible(text: str) -> str:
    """Text with every character that a terminal would obey, or that hides or reorders others, shown as <U+001B>."""
    return "".join(f"<U+{ord(char):04X}>" if _is_hidden(char) else char for char in text)


def _is_hidden(char: str) -> bool:
    return char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _flat(text: object) -> str:
    return visible(" ".join(str(text).split()))


def _lines(text: str) -> list[str]:
    """The lines of a file, of which only a line feed ends one; a missing last one is a line, as diff(1) shows it."""
    lines = text.split("\n")
    return [*lines, "\\ No newline at end of file"] if lines[-1] else lines[:-1]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown: every value goes through `cell`, `code`, `code_cell` or `fenced`
    )
    environment.filters |= {"cell": cell, "code": code, "code_cell": code_cell}
    environment.filters |= {"fenced": fenced, "diff": diff, "headline": headline, "record_diff": record_diff}
    return environment
