"""Whatever way a real reporter has, its two records are read."""

import pytest

from deliverability.dmarc.intake import Outcome
from rehearsal.dmarc import quirks
from tests.deliverability.dmarc.written import (
    BEGIN,
    DAY,
    METADATA,
    bare,
    counts,
    mail,
    packed,
    read,
    record,
    report,
    taken,
    zipped,
)

WHOLE = {"207.174.124.94": 2, "198.51.100.7": 3}
XML = report()

PACKED, WRITTEN = quirks.containers(DAY), quirks.texts(DAY)
ENCODED, BROUGHT = quirks.encodings(DAY), quirks.mails(DAY)


@pytest.mark.parametrize("data", PACKED.values(), ids=PACKED)
def test_packed(data: bytes) -> None:
    result, kept = read(data)
    assert (result.outcome, result.reasons, counts(kept.records)) == (Outcome.REPORT, [], WHOLE)
    assert taken(mail(data, kind="application/octet-stream"))[0].outcome is Outcome.REPORT


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_written(text: str) -> None:
    result, kept = taken(mail(packed(text)))
    assert (result.outcome, result.reasons, counts(kept.records)) == (Outcome.REPORT, [], WHOLE)
    assert (kept.headers[0].domain, kept.headers[0].begin) == ("performancewest.net", BEGIN)
    assert kept.headers[0].policy["p"] == "reject"


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED)
def test_encoded(data: bytes) -> None:
    result, kept = read(data)
    assert (result.outcome, result.reasons, counts(kept.records)) == (Outcome.REPORT, [], WHOLE)


def test_what_is_no_utf8_is_windows_1252() -> None:
    for name in ("windows-1252", "windows-1252 called utf-8"):
        assert read(ENCODED[name])[1].headers[0].org_name == "Caf\u00e9 \u20ac"


@pytest.mark.parametrize("raw", BROUGHT.values(), ids=BROUGHT)
def test_brought(raw: bytes) -> None:
    result, kept = taken(raw)
    assert (result.outcome, result.reasons, counts(kept.records)) == (Outcome.REPORT, [], WHOLE)


def test_all_reports_of_a_mail_count() -> None:
    other = report(metadata=METADATA.replace("1234", "1235"))
    third = report(metadata=METADATA.replace("1234", "1236"))
    result, kept = taken(mail(packed(XML), zipped(("a.xml", other.encode()), ("b.xml", third.encode()))))
    assert (result.outcome, kept.messages, len(kept.headers)) == (Outcome.REPORT, 15, 3)


def test_a_report_that_comes_twice_counts_once() -> None:
    result, kept = taken(mail(packed(XML), zipped(("a.xml", XML.encode()))))
    assert (result.outcome, kept.messages) == (Outcome.REPORT, 5)


def test_a_bad_report_does_not_keep_the_good_one_out() -> None:
    result, kept = taken(mail(packed("<feedback><nonsense>"), packed(XML)))
    assert (result.outcome, kept.messages) == (Outcome.QUARANTINED, 5)
    assert "no element found" in result.reason


@pytest.mark.parametrize("count", ["0", "-5", "+5", "1e3", "1 000", "1" * 30, "\u0661\u0662", "", "x", "2147483649"])
def test_a_count_that_is_none_drops_its_record(count: str) -> None:
    result, kept = read(report(record() + record("198.51.100.7", count)).encode())
    assert (result.outcome, dict(result.dropped), counts(kept.records)) == (
        Outcome.REPORT,
        {"count": 1},
        {"207.174.124.94": 2},
    )


@pytest.mark.parametrize(
    "address",
    [
        "",
        "999.1.1.1",
        "1.2.3",
        "01.2.3.4",
        "fe80::1%eth0",
        "1.2.3.4/24",
        "mail.example.com",
        "'; DROP TABLE x",
        "1.2.3.4 1.2.3.4",
    ],
)
def test_an_address_that_is_none_drops_its_record(address: str) -> None:
    result, kept = read(report(record() + record(address)).encode())
    assert (dict(result.dropped), counts(kept.records)) == ({"source_ip": 1}, {"207.174.124.94": 2})


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("2001:DB8:0:0::1", "2001:db8::1"), ("::ffff:192.0.2.1", "192.0.2.1"), (" 192.0.2.1\n", "192.0.2.1")],
)
def test_an_address_has_one_form(written: str, canonical: str) -> None:
    assert counts(read(report(record(written)).encode())[1].records) == {canonical: 2}


@pytest.mark.parametrize(
    ("dkim", "spf", "passed"),
    [
        ("pass", "fail", True),
        ("fail", "Pass", True),
        (" PASS ", "", True),
        ("hardfail", "unknown", False),
        ("", "", False),
    ],
)
def test_one_aligned_result_that_passes_is_enough(dkim: str, spf: str, passed: bool) -> None:
    (one,) = read(report(record(dkim=dkim, spf=spf)).encode())[1].records
    assert one.passed is passed


def test_what_is_missing_in_the_evaluation_fails() -> None:
    text = report(record()).replace("<dkim>pass</dkim>", "").replace("<spf>pass</spf>", "")
    (one,) = read(text.encode())[1].records
    assert (one.passed, one.disposition) == (False, "none")


def test_all_results_and_reasons_are_kept() -> None:
    extra = "<dkim><domain>Other.Example</domain><selector>s2</selector><result>FAIL</result></dkim>"
    text = (
        report(record())
        .replace("</auth_results>", extra + "</auth_results>")
        .replace(
            "</policy_evaluated>", "<reason><type>Mailing_List</type><comment>x</comment></reason></policy_evaluated>"
        )
    )
    (one,) = read(text.encode())[1].records
    assert one.dkim == (("performancewest.net", "send", "pass"), ("other.example", "s2", "fail"))
    assert one.spf == (("performancewest.net", "mfrom", "pass"),)
    assert one.reasons == (("mailing_list", "x"),)


def test_results_do_not_leak_into_the_next_record() -> None:
    empty = "<record><row><source_ip>192.0.2.9</source_ip><count>1</count></row></record>"
    one, other = read(report(record() + empty).encode())[1].records
    assert one.dkim
    assert (other.dkim, other.spf, other.reasons, other.disposition, other.header_from) == ((), (), (), "", "")


def test_a_report_without_records_is_one() -> None:
    result, kept = read(report("").encode())
    assert (result.outcome, len(kept.headers), kept.messages) == (Outcome.REPORT, 1, 0)


@pytest.mark.parametrize("body", [b"unused\n", b"\n", b" UNUSED "])
def test_yahoos_report_without_records(body: bytes) -> None:
    assert taken(bare("text/plain", body))[0].outcome is Outcome.EMPTY


@pytest.mark.parametrize(
    "raw",
    [
        bare("text/plain", b"Hello, are you there?\n"),
        bare("text/html", b"<html><body><p>Buy</p></body></html>"),
        mail(b"%PDF-1.4", kind="application/pdf"),
        bare("text/xml", b"<rss><channel/></rss>"),
        b"",
        b"\x00\xff" * 100,
    ],
    ids=["letter", "html", "pdf", "other xml", "nothing", "noise"],
)
def test_other_mail_is_other(raw: bytes) -> None:
    result, kept = taken(raw)
    assert (result.outcome in (Outcome.OTHER, Outcome.EMPTY), kept.headers) == (True, [])
