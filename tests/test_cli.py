"""The `runbook` command without a host and without a server: exit codes, help, and what goes to which stream."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import typer

import cli
from deployments import entry
from reports import store

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(command.callback.__name__ for command in cli.app.registered_commands if command.callback)
NO_REHEARSAL = "import pathlib, rehearsal.state; rehearsal.state.HOME = pathlib.Path('none'); import cli; cli.main()"
"""Another rehearsal may be running on this machine; this process sees none."""


def runbook(var: Path, *arguments: str, code: str = "import cli; cli.main()") -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RUNBOOK_", "PREFECT_"))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=environment | {"RUNBOOK_VAR": str(var), "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["plan"],
        ["plan", "snowshoe-cleanup", "extra"],
        ["plan", "snowshoe-cleanup", "--nonsense"],
        ["up", "--port", "many"],
        ["approve", "brave-otter", "--by", "Ann Lee", "--reason", "x"],
        ["approve", "brave-otter", "--digest", "1f0c93a2b4d6", "--reason", "x"],
        ["reject", "brave-otter"],
        ["run", "snowshoe-cleanup", "--yes"],
        ["undo"],
        ["undo", "20261125T015131", "--yes"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_64_and_nothing_on_stdout(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.run(cli.app, arguments) == 64
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Usage: runbook" in shown.err


def test_the_installed_command_ends_with_64_too(tmp_path: Path) -> None:
    ended = subprocess.run(
        [Path(sys.executable).parent / "runbook", "plan"],
        env=os.environ | {"RUNBOOK_VAR": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 64


def test_the_help_lists_every_command_of_the_runbook(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(cli.app, ["--help"]) == 0
    shown = capsys.readouterr().out
    assert {"rehearse", "plan", "run", "up", "down", "status", "approvals", "approve", "reject"} <= set(COMMANDS)
    assert all(f" {command} " in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(cli.app, [command, "--help"]) == 0
    description = capsys.readouterr().out.partition("Usage:")[2].partition("\n")[2].partition("╭")[0]
    assert f"runbook {command}" in description


def test_the_schema_is_json_and_a_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.run(cli.app, ["schema"]) == 0
    shown = capsys.readouterr()
    schema = json.loads(shown.out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"hosts", "streams", "mta", "dns"} <= set(schema["properties"])
    assert shown.err == ""


def test_without_reports_the_list_is_empty_and_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNBOOK_VAR", str(tmp_path))
    assert entry.run(cli.app, ["reports"]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"no reports in {tmp_path / 'reports'} yet" in shown.err.replace("\n", "")
    assert entry.run(cli.app, ["reports", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "reports": []}
    assert entry.run(cli.app, ["reports", "20260623"]) == 1
    assert "next: runbook reports" in capsys.readouterr().err


def test_a_report_is_listed_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNBOOK_VAR", str(tmp_path))
    data = {"schema": 1, "procedure": "snowshoe-cleanup", "estate": "rehearsal", "status": "done"}
    store.save("snowshoe-cleanup", "20260623T100000-1a2b", "# the report\n", data)
    assert entry.run(cli.app, ["reports"]) == 0
    assert capsys.readouterr().out.startswith("20260623T100000-1a2b  snowshoe-cleanup  rehearsal  done  ")
    assert entry.run(cli.app, ["reports", "20260623"]) == 0
    assert capsys.readouterr().out == "# the report\n"
    assert entry.run(cli.app, ["reports", "20260623", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == data


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "snowshoe-clean"], ["no procedure 'snowshoe-clean'", "name one of: ", "snowshoe-cleanup"]),
        (["plan", "snowshoe-cleanup", "--estate", "nowhere"], ["no estate file", "performancewest, rehearsal"]),
    ],
    ids=["procedure", "estate"],
)
def test_what_is_unknown_ends_with_1_and_the_known_names(tmp_path: Path, arguments: list[str], said: list[str]) -> None:
    ended = runbook(tmp_path, *arguments)
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    assert all(part in ended.stderr for part in said)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [["plan", "snowshoe-cleanup"], ["run", "snowshoe-cleanup"], ["approvals"]])
def test_without_a_rehearsal_one_is_told_what_to_type(tmp_path: Path, command: list[str]) -> None:
    ended = runbook(tmp_path, *command, "--estate", "rehearsal", code=NO_REHEARSAL)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no rehearsal estate is" in ended.stderr
    assert "next: runbook rehearse --keep" in ended.stderr


def test_an_interrupt_is_no_success(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(typer.main, "get_command", stop)
    assert entry.run(cli.app, ["schema"]) == 130
    assert "interrupted" in capsys.readouterr().err
