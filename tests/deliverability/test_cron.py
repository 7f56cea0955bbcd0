"""Switching off the jobs of a cron.d file: every job, only jobs, and only once."""

import pytest

from deliverability import cron

FILE = """\
# 0 6 * * * root /usr/local/bin/job --all
SHELL=/bin/sh
 MAILTO = ""

*/20 7-19 * * 1-5  root  A=b /usr/local/bin/job --max 5 >>/var/log/job.log 2>&1
\t@reboot root /usr/local/bin/job
"""


def test_only_jobs_are_switched_off() -> None:
    assert cron.jobs(FILE) == (FILE.splitlines()[4], FILE.splitlines()[5])
    after = cron.disable(FILE, "snowshoe-cleanup")
    assert after.splitlines()[:4] == FILE.splitlines()[:4]
    assert after.splitlines()[4:] == [f"# disabled by snowshoe-cleanup: {job}" for job in FILE.splitlines()[4:]]
    assert cron.jobs(after) == ()


@pytest.mark.parametrize("text", [FILE, FILE.rstrip("\n"), "", "\n", "# nothing\n", "@daily root a\fb\x85c\u2028d\n"])
def test_a_second_time_changes_nothing(text: str) -> None:
    after = cron.disable(text, "a")
    assert cron.disable(after, "b") == after
    assert cron.jobs(after) == ()


def test_only_a_line_feed_ends_a_job() -> None:
    # A form feed or U+2028 inside a job must not make a second one of it.
    assert cron.disable("@daily root a\fb\u2028c\n", "me") == "# disabled by me: @daily root a\fb\u2028c\n"
