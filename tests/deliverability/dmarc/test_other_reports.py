"""TLS reports (RFC 8460), failure reports and complaints (RFC 6591, 5965) that come to the same mailbox."""

import json
from typing import Any

import pytest

from deliverability.dmarc.intake import Outcome
from deliverability.dmarc.tls import TlsPolicy
from tests.deliverability.dmarc.written import mail, packed, read, taken

TLS: dict[str, Any] = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2026-06-22T00:00:00Z", "end-datetime": "2026-06-22T23:59:59Z"},
    "contact-info": "sts@company-x.example",
    "report-id": "5065427c",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-domain": "PerformanceWest.net", "mx-host": ["co.carrierone.com"]},
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {"result-type": "certificate-expired", "failed-session-count": 100},
                {"result-type": "starttls-not-supported", "failed-session-count": 203},
            ],
        }
    ],
}

FAILURE = b"""From: noreply@yahoo.example
To: dmarc@performancewest.net
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="x"

--x
Content-Type: text/plain

A message failed.

--x
Content-Type: message/feedback-report

Feedback-Type: auth-failure
User-Agent: Reporter/1.0
Version: 1
Original-Mail-From: <bulk@send.performancewest.net>
Arrival-Date: Mon, 22 Jun 2026 10:00:00 +0000
Source-IP: 198.51.100.7
Reported-Domain: Send.PerformanceWest.net
Auth-Failure: dmarc
Delivery-Result: reject

--x
Content-Type: message/rfc822

From: someone@performancewest.net
Subject: the message itself

<?xml version="1.0"?><feedback><record/></feedback>
--x--
"""


@pytest.mark.parametrize("data", [packed(json.dumps(TLS)), json.dumps(TLS).encode()], ids=["gzip", "plain"])
def test_a_tls_report(data: bytes) -> None:
    result, kept = taken(mail(data, kind="application/tlsrpt+gzip"))
    assert (result.outcome, result.reasons) == (Outcome.TLS, [])
    (report,) = kept.tls
    assert (report.org_name, report.report_id, report.end - report.begin) == ("Company-X", "5065427c", 86_399)
    failures = ("certificate-expired", "starttls-not-supported")
    assert report.policies == (TlsPolicy("performancewest.net", "sts", 5326, 303, failures),)
    assert read(data)[0].outcome is Outcome.TLS


@pytest.mark.parametrize(
    "change",
    [
        {"policies": 5},
        {"policies": [{}]},
        {"date-range": {}},
        {"date-range": {"start-datetime": "yesterday", "end-datetime": "today"}},
        {"policies": [{"policy": {"policy-domain": "x"}, "summary": {"total-successful-session-count": -1}}]},
        {"policies": [{"policy": {"policy-domain": "x"}, "summary": {"total-successful-session-count": 1e99}}]},
        {"policies": [{"policy": {"policy-domain": "x"}}] * 1001},
    ],
)
def test_a_tls_report_that_is_none(change: dict[str, Any]) -> None:
    result, kept = taken(mail(packed(json.dumps(TLS | change))))
    assert (result.outcome, kept.tls) == (Outcome.QUARANTINED, [])
    assert "TLS report" in result.reason


def test_a_failure_report() -> None:
    result, kept = taken(FAILURE)
    assert (result.outcome, result.reasons, kept.headers) == (Outcome.FAILURE, [], [])
    (report,) = kept.failures
    assert (report.kind, report.domain, report.source_ip) == (
        "auth-failure",
        "send.performancewest.net",
        "198.51.100.7",
    )
    assert (report.failure, report.result, report.arrived) == ("dmarc", "reject", 1_782_122_400)


def test_a_complaint_is_kept_too() -> None:
    complaint = FAILURE.replace(b"auth-failure", b"abuse").replace(b"Reported-Domain: Send.PerformanceWest.net\n", b"")
    (report,) = taken(complaint)[1].failures
    assert (report.kind, report.domain) == ("abuse", "send.performancewest.net")


def test_what_is_wrong_in_a_failure_report_is_left_out() -> None:
    odd = FAILURE.replace(b"198.51.100.7", b"nowhere").replace(b"Mon, 22 Jun 2026 10:00:00 +0000", b"lately")
    (report,) = taken(odd)[1].failures
    assert (report.source_ip, report.arrived) == ("", 0)
