"""A sending subdomain set up on real hosts: DNS master and slaves, OpenDKIM, listmonk's databases, receivers."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from estate_probes import until
from listmonks import HEALTHCARE, TRUCKING, sql
from zones import DNS, ZONE, Watcher, hestia, listing, serial

from deliverability.dns import spf
from estates import PATIENCE, Desk

pytestmark = pytest.mark.rehearsal

SEND = f"send.{ZONE}"
KEY = f"/etc/opendkim/keys/{SEND}/send.private"
TABLES = ("/etc/opendkim/KeyTable", "/etc/opendkim/SigningTable")
LISTS = ("/etc/bounce-watcher/trucking", "/etc/bounce-watcher/healthcare")
NEW = {
    TRUCKING: f"Performance West <noreply@{SEND}>",
    HEALTHCARE: f"Performance West Compliance <compliance@{SEND}>",
}
OLD = {name: sender.replace(SEND, ZONE) for name, sender in NEW.items()}
FROM = "SELECT value #>> '{}' FROM settings WHERE key = 'app.from_email'"
SPF = "v=spf1 ip4:207.174.124.94 ip4:207.174.124.107 -all"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """The estate as it is: records, key and tables are there, the From is still the old one."""
    desk = Desk(tmp_path)
    desk.shell("systemctl start listmonk.target")
    desk.procedure = "subdomain-setup"
    return desk


@pytest.fixture
def bare(desk: Desk) -> Iterator[Desk]:
    """The estate as it was before 2026-06-19. It is shared: all other tests have the zone as it is now."""
    hestia(desk, "send-records", "absent")
    desk.shell("send-signing absent")
    yield desk
    desk.estate.reset(*DNS)


def records(desk: Desk) -> list[tuple[str, str]]:
    """(name, type) of what is published for the subdomain; SPF only, of its TXT."""
    return [
        (name, kind)
        for name, kind, value in listing(desk)
        if name.endswith("send") and (name != "send" or kind != "TXT" or spf.is_spf(value))
    ]


ALL_RECORDS = [("_dmarc.send", "TXT"), ("send", "MX"), ("send", "TXT"), ("send._domainkey.send", "TXT")]


def senders(desk: Desk) -> dict[str, str]:
    return {name: sql(desk.estate, name, FROM) for name in (TRUCKING, HEALTHCARE)}


def signing(desk: Desk) -> str:
    return desk.shell(f"cat {' '.join((*TABLES, *LISTS))}; stat -c '%n %U:%G %a' {' '.join((*TABLES, *LISTS))}")


def test_from_nothing_to_signed_mail_and_then_there_is_nothing_to_do(bare: Desk) -> None:
    before = signing(bare)
    planned = bare.run("plan", "--json")
    assert planned.returncode == 2, planned.stderr
    assert len(json.loads(planned.stdout)["plan"]["changes"]) == 12
    assert (records(bare), signing(bare), senders(bare)) == ([], before, OLD)

    with Watcher(bare, ZONE, SEND) as watcher:
        done = bare.run("run", "--unattended")
    assert done.returncode == 0, done.stdout + done.stderr
    assert records(bare) == ALL_RECORDS
    assert bare.shell(f"stat -c '%U:%G %a' {KEY}").split() == ["opendkim:opendkim", "600"]
    assert senders(bare) == NEW
    assert [bare.read(path).splitlines()[-1] for path in LISTS] == [f"noreply@{SEND}", f"compliance@{SEND}"]
    assert all(f"@{ZONE}\n" in bare.read(path) for path in LISTS), "the queue of the old senders drains"
    assert watcher.wrong == []

    record, markdown = bare.report()
    observed = {finding["check"]: finding["observed"] for finding in record["findings"]}
    assert {finding["verdict"] for finding in record["findings"]} <= {"ok", "warning"}
    for stream, address, helo in (
        ("trucking", "207.174.124.94", "mta05.performancewest.net"),
        ("healthcare", "207.174.124.107", "hcmta01.performancewest.net"),
    ):
        assert observed[f"mail of stream {stream}"] == f"from {address}, HELO {helo}"
        assert observed[f"mail of stream {stream}: DKIM"] == f"valid, d={SEND} s=send"
        assert observed[f"mail of stream {stream}: DMARC"] == f"{SEND}, {SEND}"
        assert observed[f"SPF of {SEND} for {address} (stream {stream})"] == "pass"
    assert observed[f"DKIM key send._domainkey.{SEND}"] == "key OK"
    assert "v-delete-dns-record justin performancewest.net ID" in markdown

    again = bare.run("run", "--unattended")
    assert again.returncode == 0, again.stderr
    assert f"nothing to do: {SEND} is set up" in again.stdout

    number, run = serial(bare), record["run"]
    assert record["undo"][0] == f"runbook undo {run} --estate rehearsal"
    undone = bare.run("undo", run, "--unattended")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert (records(bare), signing(bare), senders(bare)) == ([], before, OLD)
    assert serial(bare) > number, "a new serial, no old file"
    assert bare.shell(f"ls {KEY}").strip() == KEY, "no key is removed"
    bare.assert_both_streams_flow()
    done = bare.run("undo", run, "--unattended")
    assert done.returncode == 0, done.stderr
    assert f"all is as it was before run {run}" in done.stdout


def test_killed_after_each_write_the_next_run_goes_on(bare: Desk) -> None:
    """Three runs are killed, each after one record more; the fourth one ends. HestiaCP ends what it has begun."""
    hestia(bare, "hestia-switch", "rebuild_seconds=1")
    with Watcher(bare, ZONE, SEND) as watcher:
        for count in range(1, 4):
            number = serial(bare)
            with bare.start("run", "--unattended") as run:
                assert until(lambda number=number: serial(bare) != number, PATIENCE)
                run.send_signal(signal.SIGKILL)
                run.communicate()
            assert len(records(bare)) == count
            assert senders(bare) == OLD
        made = bare.shell(f"sha256sum {KEY}")
        done = bare.run("run", "--unattended")
    assert done.returncode == 0, done.stdout + done.stderr
    assert records(bare) == ALL_RECORDS
    assert bare.shell(f"sha256sum {KEY}") == made, "no key is made twice"
    assert senders(bare) == NEW
    assert watcher.wrong == []


def test_ctrl_c_amid_the_records_takes_them_back(bare: Desk) -> None:
    before, number = signing(bare), serial(bare)
    with bare.start("run", "--unattended") as run:
        assert until(lambda: serial(bare) != number, PATIENCE)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(PATIENCE)
    assert run.returncode == 4, (out, err)
    assert (records(bare), signing(bare), senders(bare)) == ([], before, OLD)
    record, _ = bare.report()
    assert record["undo"][0] == "undone because: KeyboardInterrupt"


def test_mail_that_does_not_arrive_takes_all_of_it_back(bare: Desk) -> None:
    before, number = signing(bare), serial(bare)
    bare.estate.receiver("yahoo").reply(end="550 5.7.1 not from you")
    done = bare.run("run", "--unattended")
    bare.estate.receiver("yahoo").reply_normally()
    assert done.returncode == 4, done.stdout + done.stderr
    assert (records(bare), signing(bare), senders(bare)) == ([], before, OLD)
    assert serial(bare) > number
    record, _ = bare.report()
    assert "the old records are published again" in record["summary"]
    assert "reloaded opendkim" in bare.guard("undo.log")
    bare.assert_both_streams_flow()


def test_a_half_finished_set_up_is_finished(desk: Desk) -> None:
    """Only the From, and the lists of senders: the estate stands still on the day after the records were published."""
    before = listing(desk)
    desk.shell("systemctl stop listmonk@listmonk_hc")
    refused = desk.run("run", "--unattended")
    assert refused.returncode == 1
    assert "listmonk@listmonk_hc.service is inactive" in refused.stdout + refused.stderr
    desk.shell("systemctl start listmonk@listmonk_hc")
    done = desk.run("run", "--unattended")
    assert done.returncode == 0, done.stdout + done.stderr
    record = desk.reports()[-1]
    kinds = [change["kind"] for change in record["plan"]["changes"]]
    assert kinds == ["edit-file", "edit-file", "set-listmonk-from", "set-listmonk-from"]
    assert (senders(desk), listing(desk)) == (NEW, before)


def test_a_from_that_cannot_be_changed_goes_back_and_what_was_proved_stands(desk: Desk) -> None:
    person = desk.at_terminal("run")
    digest = person.digest()
    sql(
        desk.estate,
        HEALTHCARE,
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'settings are locked'; END $$;"
        "CREATE TRIGGER no BEFORE UPDATE ON settings FOR EACH ROW EXECUTE FUNCTION no()",
    )
    person.type(f"approve\n{digest}\nAnn\nCHG-8\n")
    code, _ = person.end()
    assert code == 4
    assert senders(desk) == OLD
    assert desk.read(LISTS[0]).endswith(f"noreply@{SEND}\n")
    record, _ = desk.report()
    assert "each listmonk has the From it had; what was done before it stands" in record["summary"]


def test_a_published_record_that_is_another_is_refused(desk: Desk) -> None:
    desk.write_estate(f'[domains."{SEND}"]\ndmarc = "v=DMARC1; p=none"\nspf = "{SPF}"\n')
    before = (listing(desk), signing(desk))
    refused = desk.run("run", "--unattended")
    assert refused.returncode == 3
    assert "_dmarc.send TXT in performancewest.net says v=DMARC1; p=reject" in refused.stdout
    assert (listing(desk), signing(desk)) == before
