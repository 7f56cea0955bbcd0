"""Switching off the jobs of a cron.d file without losing them (crontab(5))."""

import re

from deliverability.postfix.plaintext import physical_lines

_SETTING = re.compile(r"^\s*[A-Za-z_][A-Za-z0-9_]*\s*=")


def jobs(text: str) -> tuple[str, ...]:
    """The active job lines: neither blank, nor a comment, nor an environment setting."""
    return tuple(line.removesuffix("\n") for line in physical_lines(text) if _is_job(line))


def disable(text: str, by: str) -> str:
    """The file with every active job commented out, each marked with who did it; all other lines unchanged."""
    return "".join(f"# disabled by {by}: {line}" if _is_job(line) else line for line in physical_lines(text))


def _is_job(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#") and not _SETTING.match(line)
