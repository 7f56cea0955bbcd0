"""The gate's questions at a terminal, for a procedure that runs in a plain process."""

import getpass
import os
import select
import sys
from datetime import UTC, datetime

from deliverability import decision as decisions
from deliverability.decision import Choice, Decision
from deliverability.plan import SHORT_DIGEST, Plan
from flows.gates.questions import clean

STDIN = 0
TRIES = 20
LINE = 4096
"""Bytes: the longest line that a terminal hands over at once."""


def ask(plan: Plan, shown: str, deadline: datetime) -> Decision:
    """Show the plan on stderr and ask on the terminal of stdin until an answer can be taken.

    Enter alone, end of file, Ctrl-C, the deadline and the absence of a terminal are all a Decision to reject.
    """
    if not _has_terminal():
        return _reject(plan, login(), "no terminal to ask at")
    _say(_printable(shown))
    _say(
        f"Approve or reject this plan until {deadline:%Y-%m-%d %H:%M} UTC. Its digest is {plan.digest[:SHORT_DIGEST]}."
    )
    known: dict[str, str] = {}
    try:
        for _ in range(TRIES):
            refusal = _interview(known, deadline, plan)
            if refusal is None:
                return _decision(plan, Choice(known["decision"]), known["name"], known["reason"])
            _say(f"That cannot be taken: {_printable(refusal)}.")
        return _reject(plan, login(), f"{TRIES} answers could not be taken")
    except (EOFError, KeyboardInterrupt) as end:
        _say("")
        ended = "interrupted" if isinstance(end, KeyboardInterrupt) else "end of input"
        return _reject(plan, known.get("name") or login(), f"{ended} at the prompt")
    except TimeoutError:
        _say("")
        reason = f"the deadline was {deadline:%Y-%m-%d %H:%M} UTC; nobody answered in time"
        return _decision(plan, Choice.REJECT, "timeout", reason, via="timeout")


def login() -> str:
    """Who runs this process, as the machine knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _interview(known: dict[str, str], deadline: datetime, plan: Plan) -> str | None:
    """Ask the questions once, into `known`; why the answers cannot be taken, or None."""
    known.clear()
    choice = _line("decision: approve or reject [reject]", deadline).lower() or Choice.REJECT
    if choice not in (Choice.APPROVE, Choice.REJECT):
        return decisions.problem(choice, "", login(), plan.digest)
    digest = ""
    if choice == Choice.APPROVE:
        digest = _line(f"digest: first {SHORT_DIGEST} characters [none: reject]", deadline)
        choice = choice if digest else Choice.REJECT
    # An approval names its person; a rejection by nobody in particular is still a rejection.
    default = login() if choice == Choice.REJECT else ""
    name = _line(f"name: who decides{f' [{default}]' if default else ''}", deadline)
    known["name"] = clean(name, decisions.NAME_LIMIT) or default
    known["decision"] = str(choice)
    known["reason"] = clean(_line("reason: why, for the report", deadline), decisions.REASON_LIMIT)
    return decisions.problem(choice, digest, known["name"], plan.digest)


def _line(prompt: str, deadline: datetime) -> str:
    """One line of input. Raises EOFError, KeyboardInterrupt, and TimeoutError at the deadline."""
    print(f"{prompt}: ", end="", file=sys.stderr, flush=True)
    left = (deadline - datetime.now(UTC)).total_seconds()
    # Straight from the terminal, a line at a time: Python's own buffer would hide waiting lines from select.
    if left <= 0 or not select.select([STDIN], [], [], left)[0]:
        raise TimeoutError
    raw = os.read(STDIN, LINE)
    if not raw:
        raise EOFError
    return raw.decode(errors="replace").strip()


def _has_terminal() -> bool:
    try:
        return os.isatty(STDIN)
    except OSError:
        return False


def _printable(text: str) -> str:
    """Text that cannot move the cursor or hide a line."""
    return "\n".join(
        "".join(character for character in line if character == "\t" or character.isprintable())
        for line in text.splitlines()
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _reject(plan: Plan, by: str, reason: str) -> Decision:
    return _decision(plan, Choice.REJECT, by, reason)


def _decision(plan: Plan, choice: Choice, by: str, reason: str, *, via: str = "terminal") -> Decision:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Decision(choice=choice, digest=plan.digest, by=by, reason=reason, at=at, via=via)
