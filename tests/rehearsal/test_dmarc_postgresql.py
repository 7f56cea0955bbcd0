"""The store in a real PostgreSQL, and the runbook's questions to it."""

import time
from contextlib import closing

import pytest
import sqlalchemy
from mailroom import POSTGRESQL, Mailroom

from deployments.scenes import expected, reported
from estates import Desk
from rehearsal.dmarc import week
from rehearsal.dmarc.week import DAY_SECONDS, OWN

pytestmark = pytest.mark.rehearsal
TODAY = int(time.time()) // DAY_SECONDS * DAY_SECONDS
FINDINGS = 6

WHO_SENDS_AS_US = """
SELECT source_ip, sum(msg_count) total,
sum(msg_count) FILTER (WHERE dmarc_pass) pass,
round(100.0*sum(msg_count) FILTER (WHERE dmarc_pass)/sum(msg_count)) pass_pct
FROM dmarc_record r JOIN dmarc_report rep ON rep.id=r.report_id
WHERE rep.date_begin >= now()-interval '7 days'
GROUP BY source_ip ORDER BY total DESC;
"""
"""As the runbook has it, to the letter."""

UNKNOWN_AND_FAILING = f"""
SELECT source_ip, sum(msg_count) failing
FROM dmarc_record r JOIN dmarc_report rep ON rep.id=r.report_id
WHERE rep.date_begin >= now()-interval '7 days' AND NOT dmarc_pass
AND source_ip NOT IN ({", ".join(f"'{address}'" for address in OWN)})
GROUP BY source_ip ORDER BY failing DESC;
"""
"""What the runbook asks next: "any UNKNOWN IP failing alignment"."""


@pytest.fixture
def room(desk: Desk) -> Mailroom:
    room = Mailroom(desk)
    room.use_postgresql()
    return room


def ask(room: Mailroom, *questions: str) -> list[tuple[object, ...]]:
    """What the last one is answered with."""

    def answer() -> list[tuple[object, ...]]:
        engine = sqlalchemy.create_engine(room.store)
        with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
            for question in questions:
                cursor.execute(question)
            found = cursor.fetchall() if cursor.description else []
            connection.commit()
        engine.dispose()
        return [tuple(row) for row in found]

    return room.desk.in_hub(answer)


def test_the_runbooks_questions(room: Mailroom) -> None:
    sent = week.busy(TODAY, 60)
    room.deliver(sent.mails)
    run = room.run()
    assert run.returncode == FINDINGS, run.stderr
    assert reported(room.last()) == expected(sent)

    answers = ask(room, WHO_SENDS_AS_US)
    assert {str(ip): (total, passed or 0) for ip, total, passed, _ in answers} == expected(sent)
    assert [total for _, total, _, _ in answers] == sorted(sent.messages.values(), reverse=True)
    for ip, total, passed, percent in answers:
        assert percent is None if passed is None else percent == round(100 * int(str(passed)) / int(str(total))), ip

    failing = {str(ip): count for ip, count in ask(room, UNKNOWN_AND_FAILING)}
    assert failing == {
        source: total - sent.passed[source]
        for source, total in sent.messages.items()
        if source not in OWN and total > sent.passed[source]
    }


def test_the_runbooks_own_tables_are_let_be(room: Mailroom) -> None:
    """Its first parser had two of the names: they are refused, and a schema of its own is the way out."""
    ask(room, "CREATE TABLE dmarc_report (id bigint, org_name text)")
    room.deliver(week.busy(TODAY, 1).mails)
    refused = room.run()
    assert refused.returncode == 1
    assert "the table dmarc_report is another program's" in refused.stdout + refused.stderr
    ask(room, "CREATE SCHEMA runbook")
    room.use(f"{POSTGRESQL}?options=-csearch_path%3Drunbook")
    assert room.run().returncode in (0, FINDINGS)
    assert set(room.ledger().values()) == {"report"}
