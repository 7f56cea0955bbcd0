"""`runbook dmarc` on files of any kind: what counts, what does not and why, and a whole week of reports and attacks."""

import io
import mailbox
import re
import time
from collections import Counter
from contextlib import redirect_stdout
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest

import cli
from deployments import entry
from rehearsal.dmarc import attacks, week
from rehearsal.dmarc.written import Day, mail, packed, record, report
from tests.flows.terminal import Terminal
from tests.reading import table

MIDNIGHT = int(time.time()) // week.DAY_SECONDS * week.DAY_SECONDS
YESTERDAY = MIDNIGHT - week.DAY_SECONDS
WHOLE = {"198.51.100.7": 3, "207.174.124.94": 2}
"""What one report brings."""


def one(number: int) -> str:
    return report(Day(YESTERDAY, str(number)))


def shown(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, str]:
    """Exit code and report; nothing is said on stderr where nobody looks."""
    code = entry.run(cli.app, ["dmarc", *map(str, paths)])
    seen = capsys.readouterr()
    assert seen.err == ""
    return code, seen.out


def senders(text: str) -> dict[str, int]:
    return {row[0]: int(row[3].replace(",", "")) for row in table(text, "Senders")}


def files_of(text: str) -> dict[str, int]:
    """What became of the files."""
    total, rest = re.findall(r"^(\d+) mails and files: (.*)\.$", text, re.MULTILINE)[0]
    found = {name: int(count) for count, name in (part.split() for part in rest.split(", "))}
    assert sum(found.values()) == int(total)
    return found


def times(number: int) -> dict[str, int]:
    return {source: number * count for source, count in WHOLE.items()}


@pytest.mark.parametrize(
    "data",
    [
        packed(one(1)),
        one(1).encode(),
        mail(packed(one(1))),
    ],
    ids=["xml.gz", "xml", "eml"],
)
def test_a_single_file(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "report"
    file.write_bytes(data)
    code, text = shown(capsys, file)
    assert (code, senders(text), files_of(text)) == (0, WHOLE, {"report": 1})
    day = datetime.fromtimestamp(YESTERDAY, UTC).date()
    assert text.startswith(
        f"# DMARC: reports in files\n\n## Summary\n\n**5 messages** in our name, 40.0 % pass DMARC, {day} to {day}."
    )
    assert text.count("](data:image/png;base64,") == 1
    assert "What could not be used" not in text


def test_an_mbox(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = mailbox.mbox(tmp_path / "box")
    for number in range(3):
        box.add(message_from_bytes(mail(packed(one(number)))))
    box.add(message_from_bytes(b"From: a@example.com\nSubject: From here\n\nFrom there to here\n"))
    box.close()
    code, text = shown(capsys, tmp_path / "box")
    assert (code, senders(text), files_of(text)) == (6, times(3), {"report": 3, "other": 1})
    assert f"- `{tmp_path}/box:4`: there is no report in it" in text


def test_a_maildir_without_what_its_server_keeps_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Maildir", "Maildir/.Reports"):
        box = mailbox.Maildir(tmp_path / name)
        for number in range(2):
            box.add(mail(packed(one(len(name) * 10 + number))))
        _, message = box.popitem()
        message.set_subdir("cur")  # as one that was read
        message.add_flag("S")
        box.add(message)
        for keepers in ("dovecot-uidlist", "dovecot.index.cache", "maildirfolder", "tmp/half-written", "cur/.hidden"):
            (tmp_path / name / keepers).write_text("3 V1782000000 N5\n")
    code, text = shown(capsys, tmp_path / "Maildir")
    assert (code, senders(text), files_of(text)) == (0, times(4), {"report": 4})


def test_a_folder_of_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.xml.gz").write_bytes(packed(one(1)))
    (tmp_path / "again.xml.gz").write_bytes(packed(packed(one(1))))
    (tmp_path / "below").mkdir()
    (tmp_path / "below/b.eml").write_bytes(mail(packed(one(2)), packed(one(3))))
    (tmp_path / "below/cut off.gz").write_bytes(packed(one(4))[:-40])
    (tmp_path / "empty").touch()
    (tmp_path / "`tick` | <b>.txt").write_text("Hello\n")
    (tmp_path / "other count.xml").write_text(report(Day(YESTERDAY, "1"), record(count=9)))
    (tmp_path / "bad count.xml").write_text(report(Day(YESTERDAY, "5"), record(count=-9) + record(count=1)))
    with (tmp_path / "too large").open("wb") as sparse:
        sparse.truncate(33 << 20)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    code, text = shown(capsys, tmp_path)
    assert code == 6
    assert senders(text) == dict(Counter(times(3)) + Counter({"207.174.124.94": 1}))
    assert files_of(text) == {"conflict": 1, "duplicate": 1, "empty": 1, "other": 1, "quarantined": 2, "report": 3}
    assert "Records that could not be used: 1 for their count." in text
    assert text.partition("## What could not be used\n\n")[2].splitlines() == [
        f"- ``{tmp_path}/`tick` | <b>.txt``: there is no report in it",
        f"- `{tmp_path}/other count.xml`: another report has the same sender, name, identifier and time",
        f"- `{tmp_path}/too large`: over 32 MB",
        f"- `{tmp_path}/below/cut off.gz`: cut off: the gzip data ends too early",
    ]


def test_several_paths_are_one_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{number}.gz" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(packed(one(number)))
    assert senders(shown(capsys, *paths)[1]) == times(3)


def test_an_empty_folder_is_a_report_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, tmp_path)
    assert (code, senders(text), "**0 messages**" in text, "data:image" in text) == (0, {}, True, False)


def test_a_path_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = entry.run(cli.app, ["dmarc", str(tmp_path / "nowhere")])
    seen = capsys.readouterr()
    assert (code, seen.out) == (1, "")
    assert f"there is no {tmp_path}/nowhere" in seen.err.replace("\n", "")
    assert "next: name files or folders that are there" in seen.err


def test_without_a_path_the_usage_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(cli.app, ["dmarc"]) == 64
    assert "Usage: runbook dmarc" in capsys.readouterr().err


def test_a_person_at_a_terminal_sees_it_count(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.gz").write_bytes(packed(one(number)))
    code = f"import sys; sys.argv = ['runbook', 'dmarc', {str(tmp_path)!r}]; import cli; cli.main()"
    terminal = Terminal(code, {"TERM": "xterm", "COLUMNS": "200"})
    try:
        assert "reading 3: " in terminal.wait_for(f"{tmp_path}/2.gz")
        assert terminal.output() == "# DMARC: reports in files\n"
    finally:
        terminal.close()


# a week of mail, with every quirk and every attack


@pytest.fixture(scope="module")
def arrived() -> week.Week:
    return week.make(MIDNIGHT)


@pytest.fixture(scope="module")
def read(arrived: week.Week, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """Exit code and report of the week's files."""
    folder = tmp_path_factory.mktemp("week")
    for number, raw in enumerate(arrived.mails):
        (folder / f"{number:04}.eml").write_bytes(raw)
    out = io.StringIO()
    with redirect_stdout(out):
        code = entry.run(cli.app, ["dmarc", str(folder)])
    return code, out.getvalue()


def strangers() -> Counter[str]:
    """Messages of those attacks that are about somebody else: without an estate, nobody is."""
    found = Counter[str]()
    for _, _, words in attacks.files(Day(YESTERDAY)).values():
        found.update({"none of ours": WHOLE, "header_from": {"207.174.124.94": 2}}.get(words, {}))
    assert found.total() == 12
    return found


def test_the_week_adds_up_to_what_was_written_for_every_address(arrived: week.Week, read: tuple[int, str]) -> None:
    assert senders(read[1]) == dict(arrived.messages + strangers())


def test_as_much_of_the_week_passes_as_was_written(arrived: week.Week, read: tuple[int, str]) -> None:
    messages, passed = arrived.messages + strangers(), arrived.passed + Counter({"207.174.124.94": 6})
    rates = {row[0]: float(row[4].removesuffix(" %")) for row in table(read[1], "Senders")}
    assert rates == {source: round(100 * passed[source] / count, 1) for source, count in messages.items()}
    assert f"**{messages.total():,} messages**" in read[1]


def test_every_mail_of_the_week_has_come_to_what_it_should(arrived: week.Week, read: tuple[int, str]) -> None:
    about_others = Counter({"report": 2})
    assert files_of(read[1]) == dict(arrived.outcomes + about_others - Counter({"quarantined": 2}))
    assert read[0] == 6


def test_nothing_of_the_attacks_is_markup_in_the_report(read: tuple[int, str]) -> None:
    text = read[1]
    assert not re.search(r"(?<!\\)<(?:script|img|b)\b", text)
    assert re.findall(r"!\[[^]]*\]\((.{5})", text) == ["data:"]
    assert r"\<script\>document.title='owned'" in text
    assert "{{ 7*7 }}" in text.replace("\\", "")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
