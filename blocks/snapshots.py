"""The snapshot repository: every version of a changed file, in git, as the runbook keeps it."""

from pathlib import Path

from prefect_shell import ShellOperation

from deliverability.errors import CommandFailed
from deliverability.plan import EditFile


def commit(repository: Path, edits: tuple[EditFile, ...], message: str) -> str:
    """Write the files as HOST/PATH and commit them; the commit's short id, or "" when git already has them.

    The state before the run is committed first when the repository does not know it, so that the diff is whole.
    """
    repository.mkdir(parents=True, exist_ok=True)
    _write(repository, [(edit, edit.before) for edit in edits])
    _git_commit(repository, f"before: {message}")
    _write(repository, [(edit, edit.after) for edit in edits])
    return _git_commit(repository, message)


def _write(repository: Path, files: list[tuple[EditFile, str]]) -> None:
    for edit, text in files:
        path = repository / edit.host / edit.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _git_commit(repository: Path, message: str) -> str:
    # The message travels in the environment: it is text, never shell.
    script = [
        "set -eu",
        "[ -d .git ] || git init --quiet",
        "git add --all",
        "git diff --cached --quiet || "
        'git -c user.name="deliverability runbook" -c user.email=runbook@localhost commit --quiet --message "$MESSAGE"',
        "git rev-parse --short HEAD",
    ]
    try:
        operation = ShellOperation(
            commands=script, env={"MESSAGE": message}, working_dir=repository, stream_output=False
        )
        lines = operation.run()
    except RuntimeError as error:
        raise CommandFailed(f"{repository}: the snapshots cannot be committed: {error}") from None
    return str(lines[-1]) if lines else ""
