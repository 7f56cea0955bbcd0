"""Switching off the jobs of a cron.d file without losing them (crontab(5))."""

import re

_SETTING = re.compile(r"^\s*[A-Za-z_][A-Za-z0-9_]*\s*=")


def jobs(text: str) -> tuple[str, ...]:
    """The active job lines: neither blank, nor a comment, nor an environment setting."""
    return tuple(line for line in text.splitlines() if _is_job(line))


def disable(text: str, by: str) -> str:
    """The file with every active job commented out, each marked with who did it; all other lines unchanged."""
    lines = text.splitlines(keepends=True)
    return "".join(f"# disabled by {by}: {line}" if _is_job(line) else line for line in lines)


def _is_job(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#") and not _SETTING.match(line)
