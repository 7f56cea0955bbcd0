"""A week of mail to the report address: what reporters send, as they send it, and what attackers do.

The same seed gives the same week, and the week knows what has to come out of it.
"""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rehearsal.dmarc import attacks, quirks
from rehearsal.dmarc.written import Day, bare, mail, packed, record, report, zipped

DAYS = 7
DAY_SECONDS = 86_400
REPORTERS = (
    "google.com",
    "yahoo.com",
    "outlook.com",
    "comcast.net",
    "cox.net",
    "gmx.net",
    "mail.com",
    "mimecast.org",
    "bell.net",
    "gosecure.net",
)
OWN = ("207.174.124.94", "207.174.124.107", "207.174.124.15")
FORWARDERS = {
    "203.0.113.80": "<reason><type>mailing_list</type><comment></comment></reason>",
    "2001:db8:f::25": "<reason><type>local_policy</type><comment>arc=pass as.1.google.com=pass</comment></reason>",
}
"""Those that send on, and why receivers let it pass."""
STRANGERS = tuple(f"198.51.100.{number}" for number in range(10, 40))
WHOLE = Counter({"207.174.124.94": 2, "198.51.100.7": 3})
"""What every quirk brings."""

MX = "co.carrierone.com"


@dataclass
class Week:
    """Mails in the order of their arrival, and what they add up to."""

    mails: list[bytes] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)
    """Address -> messages."""
    passed: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(
        self, raw: bytes, outcome: str, messages: Counter[str] | None = None, passed: Counter[str] | None = None
    ) -> None:
        self.mails.append(raw)
        self.outcomes[outcome] += 1
        self.messages.update(messages or Counter())
        self.passed.update(passed or Counter())


def make(midnight: int, seed: int = 20_260_623) -> Week:
    """The week before `midnight`, Unix seconds at which a day begins in UTC."""
    pick = random.Random(seed)  # noqa: S311  a week that is the same for everybody
    week = Week()
    for number in range(DAYS):
        begin = midnight - (DAYS - number) * DAY_SECONDS
        for reporter in REPORTERS:
            _regular(week, pick, begin, reporter)
    yesterday = midnight - DAY_SECONDS
    for number, raw in enumerate(_odd(yesterday)):
        week.add(proved(raw, "google.com") if number % 2 else raw, "report", WHOLE, Counter({"207.174.124.94": 2}))
    _hostile(week, yesterday)
    _others(week, yesterday)
    return week


def busy(midnight: int, mails: int, seed: int = 7) -> Week:
    """As many mails of the day before `midnight` as a large sender gets; every twentieth cannot be used."""
    pick = random.Random(seed)  # noqa: S311
    week = Week()
    number = 0
    while len(week.mails) < mails:
        number += 1
        reporter = f"reporter-{number}.example"
        if number % 20:
            _regular(week, pick, midnight - DAY_SECONDS, reporter)
        else:
            cut = packed(report(Day(midnight - DAY_SECONDS, reporter)))[: -pick.randint(20, 200)]
            week.add(mail(cut, sender=f"noreply@{reporter}"), "quarantined")
    return week


def proved(raw: bytes, sender: str) -> bytes:
    """The mail as our MX hands it on: with what it found on top."""
    return f"Authentication-Results: {MX}; dmarc=pass (p=reject) header.from={sender}\n".encode() + raw


def _regular(week: Week, pick: random.Random, begin: int, reporter: str) -> None:
    """A reporter's report of a day; some come twice, packed anew."""
    messages, passed, records = Counter[str](), Counter[str](), []
    for source in (*OWN, *pick.sample(list(FORWARDERS), 1), *pick.sample(STRANGERS, 2)):
        for _ in range(pick.choice((1, 1, 2))):  # one address in two records is common
            count, good = pick.randint(1, 60), source in OWN and pick.random() < 0.98
            messages[source] += count
            passed[source] += count * good
            result = "pass" if good else "fail"
            disposition = "none" if good or source in FORWARDERS else "reject"
            reason, signed = FORWARDERS.get(source, ""), source not in STRANGERS
            records.append(record(source, count, disposition, result, result, signed=signed, reason=reason))
    day = Day(begin, f"{reporter}-{begin}")
    xml = report(day, "\n".join(records), day.metadata.replace("google.com", reporter))
    sender = f"noreply@{reporter}"
    week.add(proved(mail(packed(xml), sender=sender), reporter), "report", messages, passed)
    if pick.random() < 0.1:
        again = mail(zipped(("report.xml", xml.encode())), kind="application/zip", sender=sender)
        week.add(proved(again, reporter), "duplicate")


def _odd(begin: int) -> Iterator[bytes]:
    """Every quirk, in a report of its own."""
    numbers = iter(range(1_000_000, 2_000_000))

    def day() -> Day:
        return Day(begin, f"{next(numbers)}")

    for name in quirks.texts(Day(begin)):
        yield mail(packed(quirks.texts(day())[name]))
    for name in quirks.containers(Day(begin)):
        yield mail(quirks.containers(day())[name], kind="application/octet-stream")
    for name in quirks.encodings(Day(begin)):
        yield mail(quirks.encodings(day())[name], kind="application/octet-stream")
    for name in quirks.mails(Day(begin)):
        yield quirks.mails(day())[name]


def _hostile(week: Week, begin: int) -> None:
    """Every attack; those that only mislead a reader are reports."""
    for number, (name, (make_it, verdict, words)) in enumerate(attacks.files(Day(begin)).items()):
        if verdict == attacks.REPORT:  # it would be taken for the one before
            make_it = attacks.files(Day(begin, f"{3_000_000 + number}"))[name][0]
        reports = attacks.read_in(name, verdict, words)
        messages = Counter({source: count * reports for source, count in WHOLE.items()})
        week.add(make_it(), verdict, messages, Counter({"207.174.124.94": 2 * reports}))


def _others(week: Week, begin: int) -> None:
    """A TLS report, a failure report, an empty report, and a letter."""
    tls = {
        "organization-name": "google.com",
        "date-range": {"start-datetime": "2026-06-22T00:00:00Z", "end-datetime": "2026-06-22T23:59:59Z"},
        "report-id": "tls-1",
        "policies": [
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "performancewest.net"},
                "summary": {"total-successful-session-count": 40, "total-failure-session-count": 0},
            }
        ],
    }
    week.add(mail(packed(json.dumps(tls)), kind="application/tlsrpt+gzip"), "tls")
    fields = "Feedback-Type: auth-failure\nSource-IP: 198.51.100.7\nReported-Domain: performancewest.net"
    parts = f"--x\nContent-Type: message/feedback-report\n\n{fields}\nAuth-Failure: dmarc\n\n--x--\n"
    week.add(bare("multipart/report; report-type=feedback-report; boundary=x", parts.encode()), "failure")
    week.add(bare("text/plain", b"unused\n"), "empty")
    week.add(bare("text/plain", b"Hello, is anybody reading this?\n"), "other")
