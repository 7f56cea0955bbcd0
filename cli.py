"""The `runbook` command. Data goes to stdout, progress and prose to stderr; exit codes as in docs/reference/cli.md.

Imports stay inside the commands: Prefect reads its settings when it is imported, and `--help` should not wait for it.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deliverability.errors import FINDINGS, Held
from deployments import entry
from reports import terminal
from reports.terminal import err, out

CHANGES_PENDING = 2
AT_A_GATE = 10

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="The deliverability runbook: plan, approve, change under a guard, verify, report.\n\n"
    "Try it without any server of your own: `runbook rehearse`",
)

lock = typer.Typer(no_args_is_help=True, help="Who has a host; and how to take it from a run that is dead.")
app.add_typer(lock, name="lock")

EstateName = Annotated[str, typer.Option("--estate", "-e", help="A name in estates/, or a path ending in .toml")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on stdout; changes nothing else")]
Unattended = Annotated[bool, typer.Option("--unattended", help="No person decides; the rehearsal only")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="NAME=VALUE: a parameter of the procedure's own, e.g. merge=true")
]
ProcedureName = Annotated[str, typer.Argument(help="For example snowshoe-cleanup")]


@app.command()
def rehearse(
    procedure: Annotated[str | None, typer.Argument(help="Procedure to run; snowshoe-cleanup if none is kept")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave estate, server and worker running, until Ctrl-C")] = False,
    port: Annotated[int, typer.Option(help="Port of the UI on this machine's loopback")] = 4200,
    fault: Annotated[str, typer.Option(help="Break something meanwhile; `help` lists what")] = "",
    at: Annotated[int, typer.Option(help="Inject the fault after this line of the guard's journal")] = 12,
    seconds: Annotated[float, typer.Option("--for", help="Mend the fault after so many seconds")] = 20,
) -> int:
    """Start the rehearsal estate and run a procedure in it, through its gate.

    Without a terminal, or with a fault, the gate is passed unattended, and the report says so.

    `runbook rehearse`   `runbook rehearse --keep`   `runbook rehearse --fault cut`
    """
    from deployments import fault_rehearsal
    from deployments import rehearse as rehearsals

    if keep and fault:
        raise typer.BadParameter("--keep and --fault exclude each other")
    if fault:
        return fault_rehearsal.once(procedure or "snowshoe-cleanup", fault, at, seconds)
    if keep:
        return rehearsals.keep(procedure, port, err.print)
    return rehearsals.once(procedure or "snowshoe-cleanup", attended=sys.stdin.isatty())


@app.command()
def plan(
    procedure: ProcedureName,
    estate: EstateName = "performancewest",
    settings: Settings = None,
    as_json: AsJson = False,
) -> int:
    """Observe and plan only: print what a run would change. Exit 0: nothing to do; 2: changes pending.

    `runbook plan snowshoe-cleanup --estate rehearsal`   `runbook plan spf-trim --set merge=true`
    """
    entry.enter(estate)
    from flows import catalogue
    from reports import render

    chosen = catalogue.find(procedure)
    made = chosen.plan(estate, **chosen.parameters(settings or ()))
    if as_json:
        terminal.show_json({"plan": made.model_dump(mode="json"), "digest": made.digest})
    else:
        print(render.plan_markdown(made), end="")
    return 0 if made.empty else CHANGES_PENDING


@app.command()
def run(
    procedure: ProcedureName,
    estate: EstateName = "performancewest",
    settings: Settings = None,
    unattended: Unattended = False,
) -> int:
    """Run a procedure in this process; the gate is a prompt at this terminal.

    `runbook run snowshoe-cleanup --estate rehearsal`   `runbook run spf-trim --set merge=true`
    """
    entry.enter(estate)
    from deployments import here
    from flows import catalogue

    chosen = catalogue.find(procedure)
    parameters = chosen.parameters(settings or ())
    return terminal.tell(here.run(chosen.flow, estate, unattended, err.print, **parameters))


@app.command()
def undo(
    run: Annotated[str, typer.Argument(help="The finished run, as `runbook reports` lists it, or its beginning")],
    estate: EstateName = "performancewest",
    unattended: Unattended = False,
) -> int:
    """Take a finished run back, through the same plan, gate, guard and proof; refused if the host has moved on since.

    `runbook undo 20261125T015131-a0430749 --estate rehearsal`
    """
    entry.enter(estate)
    from deployments import here
    from flows.incident.undo import undo as flow

    return terminal.tell(here.run(flow, estate, unattended, err.print, run=run))


@app.command()
def up(
    estate: EstateName = "performancewest",
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1")] = 4200,
) -> int:
    """Start the Prefect server and worker on this machine and register the deployments.

    `runbook up`   `runbook up --port 4300`
    """
    home = entry.enter(estate)
    from deployments import server

    extra = {name: os.environ[name] for name in ("RUNBOOK_REHEARSAL_STATE", "RUNBOOK_VAR") if name in os.environ}
    status = server.up(home, port, extra=extra, say=err.print)
    err.print(f"{status.url} is up; log in with the line in {status.login_file}")
    return 0


@app.command()
def down(estate: EstateName = "performancewest") -> int:
    """Stop server and worker. Runs that wait for a person wait on, in the database.

    `runbook down`
    """
    home = entry.enter(estate)
    from deployments import server

    server.down(home, say=err.print)
    return 0


@app.command()
def status(estate: EstateName = "performancewest", as_json: AsJson = False) -> int:
    """Whether server and worker run, and where. Exit 0 if both do.

    `runbook status --json`
    """
    home = entry.enter(estate)
    from deployments import server

    now = server.status(home)
    if as_json:
        terminal.show_json({"status": now.model_dump(mode="json"), "up": now.up})
    else:
        out.print(f"server   {now.server or 'not running'}\nworker   {now.worker or 'not running'}")
        out.print(f"UI       {now.url if now.healthy else 'start it: runbook up'}")
    return 0 if now.up else 1


@app.command()
def approvals(estate: EstateName = "performancewest", as_json: AsJson = False) -> int:
    """What waits for a person: run, digest, deadline, link. Exit 10 if something does.

    `runbook approvals`   `runbook approvals --estate rehearsal`
    """
    home = entry.enter(estate)
    from deployments import approvals as waiting_rooms

    waiting = waiting_rooms.waiting(home)
    if as_json:
        terminal.show_json({"waiting": [item.model_dump(mode="json") for item in waiting]})
        return AT_A_GATE if waiting else 0
    for item in waiting:
        out.print(
            f"{item.name}   {item.procedure} for {item.estate}   digest {item.digest[:12]}   "
            f"until {item.deadline:%Y-%m-%d %H:%M} UTC"
        )
        out.print(f"  {item.link}")
        print(item.shown)
    if not waiting:
        err.print("nothing waits for a person")
    return AT_A_GATE if waiting else 0


@app.command()
def approve(
    run: Annotated[str, typer.Argument(help="Run name, or the beginning of its id")],
    digest: Annotated[str, typer.Option(help="The first 12 characters of the plan's digest")],
    by: Annotated[str, typer.Option(help="Who approves")],
    reason: Annotated[str, typer.Option(help="Why")],
    estate: EstateName = "performancewest",
) -> int:
    """Approve the plan that a run waits with.

    `runbook approve brave-otter --digest 1f0c93a2b4d6 --by "Ann Lee" --reason "CHG-1432"`
    """
    return _answer(estate, run, "approve", digest, by, reason)


@app.command()
def reject(
    run: Annotated[str, typer.Argument(help="Run name, or the beginning of its id")],
    by: Annotated[str, typer.Option(help="Who rejects")],
    reason: Annotated[str, typer.Option(help="Why")] = "",
    estate: EstateName = "performancewest",
) -> int:
    """Reject the plan that a run waits with.

    `runbook reject brave-otter --by "Ann Lee" --reason "not during the campaign"`
    """
    return _answer(estate, run, "reject", "", by, reason)


@lock.command("status")
def lock_status(estate: EstateName = "performancewest", as_json: AsJson = False) -> int:
    """Who has the sending host, and how its last run ended. Exit 75 unless a run may begin.

    `runbook lock status --estate rehearsal`
    """
    entry.enter(estate)
    from flows import lock as locks
    from flows.opening import open_estate

    now = locks.status(open_estate(estate))
    if as_json:
        terminal.show_json({"lock": dataclasses.asdict(now), "free": now.free})
    else:
        print(now)
    return 0 if now.free else Held.exit_code


@lock.command("release")
def lock_release(
    run: Annotated[str, typer.Argument(help="The run that is dead, as `runbook lock status` names it")],
    by: Annotated[str, typer.Option(help="Who says so")],
    reason: Annotated[str, typer.Option(help="How you know")],
    estate: EstateName = "performancewest",
) -> int:
    """Take the host from a run that is dead: undo what it left, then release its lock.

    `runbook lock release 20261125T015131-a0430749 --by "Ann Lee" --reason "its laptop is off"`
    """
    entry.enter(estate)
    from flows import lock as locks
    from flows.opening import open_estate

    print("\n".join(locks.release(open_estate(estate), run, by, reason)))
    return 0


@app.command()
def reports(
    run: Annotated[str | None, typer.Argument(help="Run to show; none: list all")] = None, as_json: AsJson = False
) -> int:
    """List the reports, or show one.

    `runbook reports`   `runbook reports 20261125T015131`
    """
    from reports import store

    if run is not None:
        stored = store.find(run)
        print(json.dumps(stored.data, indent=2) if as_json else stored.markdown.read_text(), end="")
        return 0
    found = store.find_all()
    if as_json:
        terminal.show_json({"reports": [stored.data for stored in found]})
        return 0
    for stored in found:
        data = stored.data
        print(f"{stored.run}  {data['procedure']}  {data['estate']}  {data['status']}  {stored.markdown}")
    if not found:
        err.print(f"no reports in {store.var() / 'reports'} yet")
    return 0


@app.command()
def dmarc(
    paths: Annotated[list[Path], typer.Argument(help="Reports, mails, mboxes, maildirs, or folders with any of them")],
) -> int:
    """Read DMARC reports in files and show who sends in whose name, as Markdown. Exit 6 if some cannot be used.

    No estate is needed, and nothing is stored. Charts are in it when it goes to a file.

    `runbook dmarc ~/Downloads/*.xml.gz`   `runbook dmarc ~/Maildir > dmarc.md`
    """
    from flows.dmarc import files
    from reports import dmarc as reports

    with terminal.counting("reading") as progress:
        found = files.report(paths, progress, pictures=not sys.stdout.isatty())
    print(reports.markdown(found), end="")
    return FINDINGS if found.all_unusable or found.dropped else 0


@app.command()
def schema() -> int:
    """Print the JSON schema of the estate file.

    `runbook schema > estate.schema.json`
    """
    from deliverability.estate import Estate

    print(json.dumps(Estate.model_json_schema(), indent=2))
    return 0


@app.command()
def doctor(estate: EstateName = "performancewest", as_json: AsJson = False) -> int:
    """Check every connection, key and service the estate needs. Exit 6 if something is wrong; nothing is changed.

    `runbook doctor --estate performancewest`
    """
    home = entry.enter(estate)
    from deliverability.finding import failed
    from deployments import server
    from flows import doctor as examination
    from flows.opening import open_estate

    findings = [*examination.examine(open_estate(estate)), examination.prefect(server.status(home).healthy)]
    if as_json:
        terminal.show_json({"findings": [finding.model_dump(mode="json") for finding in findings]})
    else:
        terminal.show(findings)
    return FINDINGS if failed(findings) else 0


def main() -> None:
    """Entry point."""
    entry.main(app)


def _answer(estate: str, run: str, choice: str, digest: str, by: str, reason: str) -> int:
    home = entry.enter(estate)
    from deployments import approvals as waiting_rooms

    waiting_rooms.answer(run, choice, digest, by, reason, home=home)
    err.print(f"{choice} was sent to {run}")
    return 0


if __name__ == "__main__":
    main()
