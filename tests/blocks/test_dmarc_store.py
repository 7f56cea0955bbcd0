"""The store of DMARC reports: a report is added whole or not at all, and counts once."""

import json
import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import event, text

from blocks.dmarc_figures import Figures
from blocks.dmarc_store import DmarcStore, Entry
from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.alerts import Alert, Urgency
from deliverability.dmarc.intake import Added, Origin, Outcome, Rules, take
from deliverability.errors import BadReport, StoreError
from tests.deliverability.dmarc.test_other_reports import FAILURE, TLS
from tests.deliverability.dmarc.written import METADATA, NOW, Bytes, mail, packed, record, report

SINCE, UNTIL = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DmarcStore]:
    with DmarcStore(f"sqlite:///{tmp_path}/made/dmarc.sqlite") as made:
        yield made


MAILS = count()


def add(store: DmarcStore, text: str, digest: str = "", sender: str = "google.com", mail: str = "") -> Added:
    """A report in a mail of its own."""
    reading = Reading(Bytes(text.encode()), NOW)
    return store.add(reading, digest or str(hash(text)), Origin(sender, mail or f"mail {next(MAILS)}"))


def totals(store: DmarcStore) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in Figures(store).lines(SINCE, UNTIL):
        found[line.source] = found.get(line.source, 0) + line.count
    return found


def test_what_was_reported_is_there(store: DmarcStore) -> None:
    one = record(extra="").replace(
        "</policy_evaluated>", "<reason><type>other</type><comment>c</comment></reason></policy_evaluated>"
    )
    assert add(store, report(one + record("2001:DB8::1", 7, "reject", "fail", "fail"))) is Added.NEW
    first, second = sorted(Figures(store).lines(SINCE, UNTIL), key=lambda line: line.source)
    assert (first.source, first.count, first.day.isoformat(), first.sender) == (
        "2001:db8::1",
        7,
        "2026-06-23",
        "google.com",
    )
    assert (first.passed, first.disposition, first.dkim) == (
        False,
        "reject",
        (("performancewest.net", "send", "fail"),),
    )
    assert (second.source, second.passed, second.reasons) == ("207.174.124.94", True, (("other", "c"),))


def test_a_report_counts_once(store: DmarcStore) -> None:
    assert [add(store, report()) for _ in range(3)] == [Added.NEW, Added.DUPLICATE, Added.DUPLICATE]
    assert totals(store) == {"207.174.124.94": 2, "198.51.100.7": 3}


def test_a_mail_that_is_read_anew_brings_what_it_brought(store: DmarcStore) -> None:
    assert [add(store, report(), mail="a") for _ in range(2)] == [Added.NEW, Added.NEW]
    assert totals(store) == {"207.174.124.94": 2, "198.51.100.7": 3}


def test_an_address_in_several_records_keeps_them_all(store: DmarcStore) -> None:
    add(store, report(record() * 3))
    assert totals(store) == {"207.174.124.94": 6}


def test_an_identifier_that_is_used_again_for_another_day_is_another_report(store: DmarcStore) -> None:
    other = report(
        metadata=METADATA.replace("begin>1782172800", "begin>1782086400").replace("end>1782259199", "end>1782172799")
    )
    assert [add(store, report()), add(store, other)] == [Added.NEW, Added.NEW]


def test_another_content_under_the_same_name_is_a_conflict_and_the_first_one_stands(store: DmarcStore) -> None:
    assert [add(store, report()), add(store, report(record(count=99)))] == [Added.NEW, Added.CONFLICT]
    assert totals(store) == {"207.174.124.94": 2, "198.51.100.7": 3}


def test_a_forger_keeps_no_real_report_out(store: DmarcStore) -> None:
    assert add(store, report(record(count=99)), sender="") is Added.NEW
    assert add(store, report(record(count=98)), sender="forger.example") is Added.NEW
    assert add(store, report(), sender="google.com") is Added.NEW


def test_a_copy_whose_sender_is_proved_proves_the_first_one(store: DmarcStore) -> None:
    assert [add(store, report(), sender=""), add(store, report(), sender="google.com")] == [Added.NEW, Added.DUPLICATE]
    assert {line.sender for line in Figures(store).lines(SINCE, UNTIL)} == {"google.com"}


def test_a_report_that_ends_badly_leaves_nothing_and_keeps_its_place_free(store: DmarcStore) -> None:
    cut = report(record() * 5_000)[:-200]
    with pytest.raises(BadReport):
        add(store, cut)
    assert totals(store) == {}
    assert add(store, report(record() * 5_000)) is Added.NEW


def test_the_runbooks_sql(store: DmarcStore) -> None:
    """As the runbook has it, but for PostgreSQL's way to say "seven days ago"; it runs verbatim there."""
    add(store, report())
    query = (
        "SELECT source_ip, sum(msg_count) total, sum(msg_count) FILTER (WHERE dmarc_pass) pass, "
        "round(100.0*sum(msg_count) FILTER (WHERE dmarc_pass)/sum(msg_count)) pass_pct "
        "FROM dmarc_record r JOIN dmarc_report rep ON rep.id=r.report_id "
        "WHERE rep.date_begin >= '2026-06-01' GROUP BY source_ip ORDER BY total DESC"
    )
    with store.working() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    assert rows == [("198.51.100.7", 3, None, None), ("207.174.124.94", 2, 2, 100.0)]


def test_other_reports_are_stored_too(store: DmarcStore) -> None:
    rules = Rules(now=NOW)
    tls = mail(packed(json.dumps(TLS)))
    mails = (tls, tls, b"X-Sent: again\n" + tls, FAILURE, FAILURE)
    assert [take(raw, store, rules).outcome for raw in mails] == [
        Outcome.TLS,
        Outcome.TLS,
        Outcome.DUPLICATE,
        Outcome.FAILURE,
        Outcome.FAILURE,
    ]


def test_a_mail_is_kept_as_it_came(store: DmarcStore) -> None:
    raw = b"From: x\n\n" + bytes(range(256))
    for uid in (1, 2):
        store.enter("dmarc@x", 1, Entry(uid, "<a>", "a" * 64, Outcome.OTHER), raw)
    assert store.raw("a" * 64) == raw
    with pytest.raises(KeyError):
        store.raw("b" * 64)


def test_the_ledger_is_of_one_numbering(store: DmarcStore) -> None:
    store.enter("dmarc@x", 1, Entry(7, "<a>", "s", Outcome.REPORT))
    store.enter("dmarc@x", 2, Entry(8, "<a>", "s", Outcome.QUARANTINED))
    assert store.ledger("dmarc@x", 1) == {7: "report"}
    assert store.ledger("dmarc@x", 2) == {8: "quarantined"}
    assert store.ledger("other@x", 1) == {}
    assert Figures(store).outcomes(SINCE) == {"report": 1, "quarantined": 1}


def test_a_mail_that_is_read_anew_has_its_new_outcome(store: DmarcStore) -> None:
    for outcome in (Outcome.QUARANTINED, Outcome.REPORT):
        store.enter("dmarc@x", 1, Entry(7, "<a>", "s", outcome))
    assert store.ledger("dmarc@x", 1) == {7: "report"}


def test_an_alert_is_told_once_and_once_more_when_it_is_over(store: DmarcStore) -> None:
    alert = Alert("own 1", Urgency.URGENT, "it fails")
    assert store.alerts([alert]) == ([alert], {})
    store.told([alert], [])
    assert store.alerts([alert]) == ([], {})
    assert store.alerts([]) == ([], {"own 1": "it fails"})
    store.told([], ["own 1"])
    assert store.alerts([]) == ([], {})
    assert store.alerts([alert]) == ([alert], {}), "it came again"


def test_what_an_untold_alert_says_is_told_by_the_next_run(store: DmarcStore) -> None:
    alert = Alert("own 1", Urgency.URGENT, "it fails")
    assert [store.alerts([alert])[0], store.alerts([alert])[0]] == [[alert], [alert]]


def test_figures_of_reporters_and_policies_are_those_of_proved_senders(store: DmarcStore) -> None:
    add(store, report())
    add(store, report(metadata=METADATA.replace("google", "forged")), sender="")
    assert Figures(store).reporters(SINCE) == {"google.com": (1, datetime(2026, 6, 23, 23, 59, 59, tzinfo=UTC))}
    assert Figures(store).policies(SINCE) == {"performancewest.net": {"reject": 1}}
    last = Figures(store).last_report()
    assert last is not None
    assert last.tzinfo is UTC


def test_names_of_addresses_are_kept(store: DmarcStore) -> None:
    store.keep_pointers({"192.0.2.1": "a.example", "192.0.2.2": ""})
    store.keep_pointers({"192.0.2.1": "b.example"})
    assert store.pointers(["192.0.2.1", "192.0.2.2", "192.0.2.3"]) == {"192.0.2.1": "b.example", "192.0.2.2": ""}


def _add_in_a_process(url: str, many: int) -> None:
    with DmarcStore(url) as store:
        for number in range(many):
            add(store, report(record(count=number + 1)), digest=f"{number}", sender=f"{number}.example")


def test_many_that_add_the_same_count_it_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/dmarc.sqlite"
    processes = [
        multiprocessing.get_context("spawn").Process(target=_add_in_a_process, args=(url, 20)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    with DmarcStore(url) as store:
        assert totals(store) == {"207.174.124.94": sum(range(1, 21))}


def test_a_store_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database, but long enough to be taken for one" * 100)
    with pytest.raises(StoreError, match="not a database"):
        DmarcStore(f"sqlite:///{tmp_path}/file")


def test_a_disk_that_is_full_is_an_error_and_not_a_loss(store: DmarcStore) -> None:
    with store.working() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    store._engine.dispose()
    event.listen(store._engine, "connect", lambda made, _: made.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreError, match="full"):
        add(store, report(record() * 5_000))
    store._engine.dispose()
    assert totals(store) == {}


@pytest.mark.parametrize("url", ["mysql://a:geheim@b/c", "geheim", "postgresql+nothing://a:geheim@b"])
def test_an_address_that_is_none_is_said(url: str) -> None:
    with pytest.raises(StoreError, match="is no address") as error:
        DmarcStore(url)
    assert "geheim" not in str(error.value)


def test_a_table_of_another_program_is_let_be(tmp_path: Path) -> None:
    """The runbook's own parser had a table of this name, with other columns."""
    url = f"sqlite:///{tmp_path}/dmarc.sqlite"
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE dmarc_report (id integer, org_name text)")
    with pytest.raises(StoreError, match="dmarc_report is another program's"):
        DmarcStore(url)


def test_no_error_shows_the_password_of_the_store() -> None:
    with pytest.raises(StoreError) as error:
        DmarcStore("postgresql+psycopg://runbook:geheim@127.0.0.1:1/dmarc")
    assert "geheim" not in str(error.value)
