"""TLS reports (RFC 8460): how often others could not reach our MX over TLS. They may come to the same mailbox."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deliverability.dmarc import values
from deliverability.dmarc.limits import MEGABYTE
from deliverability.dmarc.unpack import Document
from deliverability.errors import BadReport

_SIZE = 16 * MEGABYTE
_POLICIES = 1_000


@dataclass(frozen=True)
class TlsPolicy:
    """Sessions under one policy for one of our domains."""

    domain: str
    kind: str
    successful: int
    failed: int
    failures: tuple[str, ...]
    """Types of failure, such as certificate-expired."""


@dataclass(frozen=True)
class TlsReport:
    org_name: str
    report_id: str
    begin: int
    """Unix seconds, UTC."""
    end: int
    policies: tuple[TlsPolicy, ...]


def parse(document: Document) -> TlsReport:
    """Raises BadReport."""
    text = bytearray()
    for chunk in document.chunks():
        text += chunk
        if len(text) > _SIZE:
            raise BadReport(f"a TLS report of over {_SIZE // MEGABYTE} MB")
    try:
        return _report(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadReport(f"no TLS report: {type(error).__name__}: {str(error)[:200]}") from None


def _report(data: Mapping[str, Any]) -> TlsReport:
    dates = data["date-range"]
    policies = data["policies"]
    if len(policies) > _POLICIES:
        raise BadReport(f"a TLS report with over {_POLICIES} policies")
    return TlsReport(
        org_name=str(data.get("organization-name", ""))[:255],
        report_id=str(data.get("report-id", ""))[:255],
        begin=values.instant(dates["start-datetime"]),
        end=values.instant(dates["end-datetime"]),
        policies=tuple(map(_policy, policies)),
    )


def _policy(data: Mapping[str, Any]) -> TlsPolicy:
    policy, summary = data["policy"], data.get("summary", {})
    return TlsPolicy(
        domain=str(policy["policy-domain"]).lower()[:253],
        kind=str(policy.get("policy-type", ""))[:64],
        successful=_sessions(summary.get("total-successful-session-count", 0)),
        failed=_sessions(summary.get("total-failure-session-count", 0)),
        failures=tuple(sorted({str(one.get("result-type", ""))[:64] for one in data.get("failure-details", [])})),
    )


def _sessions(number: object) -> int:
    if isinstance(number, int) and 0 <= number <= values.COUNT_LIMIT:
        return number
    raise ValueError("session count")
