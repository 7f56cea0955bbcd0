"""Markdown as it is read: the rows of its tables."""

from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    tokens = MARKDOWN.parse(text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0])
    rows: list[list[str]] = []
    for at, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append("".join(part.content for part in tokens[at + 1].children or []))
    return rows[1:]
