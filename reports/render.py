"""Plans and reports as text. Everything that comes from a host or a person is escaped here, for Markdown."""

import difflib
import re
from functools import cache

import jinja2

from deliverability.plan import AddAddress, Change, EditFile, Plan, ReloadService, RemoveAddress
from reports.record import Record

DIFF_CONTEXT = 3
DIFF_LIMIT = 60_000
"""Characters of one diff in a report: the plan also stands in the Resume form, which should stay readable."""


def plan_markdown(plan: Plan) -> str:
    """The plan as a person reads it before deciding: a summary, every item, and the diffs."""
    return _environment().get_template("plan.md.j2").render(plan=plan).strip() + "\n"


def report_markdown(record: Record) -> str:
    """The report of one run."""
    return _environment().get_template("report.md.j2").render(record=record, plan=record.plan).strip() + "\n"


def difference(before: Plan, after: Plan) -> str:
    """How a new plan differs from the approved one, as a unified diff of their texts."""
    lines = difflib.unified_diff(
        plan_markdown(before).splitlines(), plan_markdown(after).splitlines(), "approved", "now", n=2, lineterm=""
    )
    return "\n".join(lines)


def diff(edit: EditFile) -> str:
    """The unified diff of one edit, bounded."""
    lines = difflib.unified_diff(
        edit.before.splitlines(),
        edit.after.splitlines(),
        edit.path,
        f"{edit.path} (planned)",
        n=DIFF_CONTEXT,
        lineterm="",
    )
    text = "\n".join(lines)
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


def fenced(text: str, language: str = "") -> str:
    """A code block that its content cannot close: the fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def cell(text: object) -> str:
    """Text for a table cell or a line of prose: one line, nothing in it is Markdown or HTML."""
    flat = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", str(text)).split())
    return re.sub(r"([\\`*_{}\[\]<>|#!~])", r"\\\1", flat.replace("&", "&amp;"))


def code(text: object) -> str:
    """Text as inline code, also inside a table."""
    flat = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", str(text)).split()).replace("`", "'")
    return f"`{flat.replace('|', chr(92) + '|')}`" if flat else ""


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown: every value goes through `cell`, `code` or `fenced`
    )
    environment.filters |= {"cell": cell, "code": code, "fenced": fenced, "diff": diff, "headline": headline}
    return environment
