"""The mail log: line shapes seen from Postfix 3.7.11, and lines strangers would like us to read."""

import pytest

from deliverability.postfix import mail_log

ISO = "2026-11-24T23:34:41.123456+00:00 mta "
TEXT = (
    "postfix/out05/smtp[313]: C425025666E: to=<x@y.test>, relay=mx.receiver.test[203.0.113.25]:25, delay=0.4, "
    "delays=0.1/0/0.2/0.1, dsn=2.0.0, status=sent (250 2.0.0 OK (queued) as lab)"
)


@pytest.mark.parametrize(("stamp", "time"), [(ISO, ISO[:32]), ("Nov  4 23:34:41 mta ", "Nov  4 23:34:41")])
def test_both_time_stamps(stamp: str, time: str) -> None:
    assert mail_log.parse_delivery(stamp + TEXT + "\n") == mail_log.Delivery(
        time=time,
        host="mta",
        program="postfix/out05/smtp",
        queue_id="C425025666E",
        to="x@y.test",
        relay_host="mx.receiver.test",
        relay_ip="203.0.113.25",
        dsn="2.0.0",
        status="sent",
        text="250 2.0.0 OK (queued) as lab",
    )


@pytest.mark.parametrize(
    ("relay", "host", "ip"),
    [
        ("none", "", ""),
        ("::1[::1]:2601", "::1", "::1"),
        ("mail[private/dovecot-lmtp]", "mail", ""),
        ("local", "local", ""),
        ("mx[2001:DB8::1]:25", "mx", "2001:db8::1"),
    ],
)
def test_relays(relay: str, host: str, ip: str) -> None:
    line = f"{ISO}postfix/smtp[1]: 4jYzfL2sCgzLSK5: to=<a@b>, orig_to=<c@d>, relay={relay}, conn_use=2, delay=1, " + (
        "delays=0/0/0/1, dsn=4.7.500, status=deferred (host mx said: 451 4.7.500 busy (in reply to RCPT TO command))"
    )
    delivery = mail_log.parse_delivery(line)
    assert delivery is not None
    assert (delivery.relay_host, delivery.relay_ip, delivery.dsn) == (host, ip, "4.7.500")
    assert delivery.text.endswith("(in reply to RCPT TO command)")


def test_a_recipient_cannot_forge_a_delivery() -> None:
    forged = '"a>, relay=good[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (x\\""@evil.test'
    tail = "relay=none, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced (no)"
    delivery = mail_log.parse_delivery(f"{ISO}postfix/smtp[1]: C425025666E: to=<{forged}>, {tail}")
    assert delivery is not None
    assert (delivery.to, delivery.status, delivery.relay_ip) == (forged, "bounced", "")


@pytest.mark.parametrize(
    "line",
    [
        "",
        ISO + "postfix/qmgr[1]: C425025666E: from=<a@b>, status=expired, returned to sender",
        ISO + "postfix/qmgr[1]: C425025666E: from=<a@b>, size=291, nrcpt=2 (queue active)",
        ISO + "kernel: " + TEXT,
        TEXT,
        "x" + ISO + TEXT,
        ISO + TEXT + "x" * 30_000 + ")",
        ISO + 'postfix/smtp[1]: C425025666E: to=<"' + '\\"' * 9_000,
    ],
)
def test_other_lines(line: str) -> None:
    assert mail_log.parse_delivery(line) is None


def test_deliveries_in_order() -> None:
    lines = [ISO + TEXT, "noise", ISO + TEXT.replace("x@y", "z@y")]
    assert [delivery.to for delivery in mail_log.deliveries(lines)] == ["x@y.test", "z@y.test"]


def test_bind_warnings() -> None:
    warning = "warning: smtp_connect_addr: bind {}: Cannot assign requested address"
    lines = [
        f"Nov 24 23:34:41 mta postfix/out05/smtp[9]: {warning.format('207.174.124.94')}",
        f"{ISO}postfix/smtp[9]: {warning.format('207.174.124.90')}\n",
        f"{ISO}postfix/smtp[9]: {warning.format('207.174.124.94')}",
        f"{ISO}postfix/smtp[9]: C425025666E: to=<a@b>, relay=none, status=sent ({warning.format('192.0.2.66')})",
        f"{ISO}postfix/smtp[9]: {warning.format('192.0.2.67')} or not",
    ]
    assert mail_log.bind_warnings(lines) == ("207.174.124.94", "207.174.124.90")
