"""The arrows between our packages, and the sizes of what is in them: read from the source, nothing is imported."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("deliverability", "reports", "blocks", "flows", "deployments", "rehearsal", "benchmarks", "tests")
SOURCES = [*sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")), ROOT / "cli.py"]
OURS = {*PACKAGES, "cli"}
MAY_IMPORT = {
    "deliverability": set(),
    "reports": {"deliverability"},
    "blocks": {"deliverability"},
    "flows": {"deliverability", "reports", "blocks", "rehearsal"},
    "rehearsal": {"deliverability"},
    "deployments": {"deliverability", "reports", "blocks", "flows", "rehearsal"},
    "cli": {"deliverability", "reports", "flows", "deployments"},
}
"""Arrows point one way: cli, deployments -> flows -> blocks, reports -> deliverability."""

EFFECTS = {
    *("prefect", "paramiko", "dns", "sqlalchemy", "httpx", "requests", "asyncio", "socket", "ssl", "subprocess"),
    *("shutil", "tempfile", "urllib", "smtplib", "imaplib", "sqlite3", "os", "time", "random", "threading", "jinja2"),
}
"""What a pure domain has no use for; `os` and `time` among it, since the caller says where and when."""

FILE_LINES, FUNCTION_LINES, FLOW_LINES = 400, 60, 120


def files(package: str) -> list[Path]:
    return [path for path in SOURCES if path.relative_to(ROOT).parts[0].removesuffix(".py") == package]


def imports(path: Path) -> Iterator[str]:
    """The full name of every module a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_package_is_looked_at() -> None:
    assert {package for package in PACKAGES if files(package)} == set(PACKAGES)
    assert all(files(package) for package in MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_arrows_point_one_way(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    assert {shown(path): wrong for path in files(package) if (wrong := (tops(path) & OURS) - allowed)} == {}


def test_the_domain_is_pure() -> None:
    assert {shown(path): wrong for path in files("deliverability") if (wrong := tops(path) & EFFECTS)} == {}


def test_flows_meet_the_rehearsal_in_one_place() -> None:
    assert [shown(path) for path in files("flows") if "rehearsal" in tops(path)] == ["flows/opening.py"]


def test_the_rehearsal_needs_nothing_but_python_and_our_errors() -> None:
    allowed = {"rehearsal", "deliverability", *sys.stdlib_module_names}
    assert {shown(path): wrong for path in files("rehearsal") if (wrong := tops(path) - allowed)} == {}
    ours = {name for path in files("rehearsal") for name in imports(path) if name.startswith("deliverability")}
    assert ours <= {"deliverability.errors"}


def test_only_blocks_reach_hosts_and_flows_hold_no_shell() -> None:
    clients = {"paramiko", "dns", "smtplib", "imaplib"}
    reach = {shown(path).partition("/")[0] for path in SOURCES if tops(path) & clients} - {
        "tests",
        "rehearsal",
        "benchmarks",
    }
    assert reach == {"blocks"}
    assert {shown(path): wrong for path in files("flows") if (wrong := tops(path) & {"subprocess", "shlex"})} == {}


@pytest.mark.parametrize("folder", ["incident", "hygiene"])
def test_a_flow_reads_on_one_screen(folder: str) -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "flows" / folder).glob("*.py")}
    assert {name: length for name, length in lengths.items() if length >= FLOW_LINES} == {}


def test_no_file_is_long() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > FILE_LINES} == {}


def test_no_function_is_long() -> None:
    lengths = {
        f"{shown(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES} == {}


def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
    others = [path for suffix in ("toml", "yaml", "j2", "sh") for path in ROOT.glob(f"[a-z]*/**/*.{suffix}")]
    assert [shown(path) for path in (*SOURCES, *others) if mark.search(path.read_text())] == []
