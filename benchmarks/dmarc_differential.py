"""Whether parsedmarc, an independent reader, finds the same in reports as we do: what both read has to add up the same.

`python -m benchmarks.dmarc_differential`. Ends with 1 if something differs that is not in EXPLAINED.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from benchmarks import parsedmarc_environment
from benchmarks.dmarc_corpus import BEGIN, DAY_SECONDS, NOW, Corpus, as_mail
from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.intake import Added, Origin, Outcome, Rules, take
from rehearsal.dmarc import quirks
from rehearsal.dmarc.written import Day, mail, packed, prefixed
from rehearsal.progress import stopwatch

HOME = Path(__file__).parent.parent
SEED = 300
GENERATED = 300
RECORDS = 40

VARIATIONS: dict[str, Callable[[str], str]] = {
    "as it is": lambda xml: xml,
    "three days": lambda xml: re.sub("<end>([0-9]+)", lambda end: f"<end>{int(end[1]) + 2 * DAY_SECONDS}", xml),
    "new namespace": lambda xml: xml.replace("<feedback>", '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">'),
    "prefix": lambda xml: prefixed(xml, "ns0"),
    "results in capitals": lambda xml: re.sub(">(pass|fail|none|reject)<", lambda word: f">{word[1].upper()}<", xml),
    "blanks around values": lambda xml: re.sub("<(count|dkim|spf|source_ip)>([^<\n]+)", r"<\1>\n \2 ", xml),
    "addresses in capitals": lambda xml: re.sub("(?<=<source_ip>)[^<]+", lambda one: one[0].upper(), xml),
    "comments": lambda xml: xml.replace("<row>", "<row><!-- > -->"),
    "results for people": lambda xml: xml.replace("</result>", "</result><human_result/>"),
    "no disposition": lambda xml: re.sub("<disposition>[a-z]+</disposition>", "", xml),
    "no result of SPF": lambda xml: re.sub("(</dkim>\\s*)<spf>[a-z]+</spf>", r"\1", xml),
    "a count of nothing": lambda xml: re.sub("<count>[0-9]+", "<count>0", xml, count=1),
    "a count below nothing": lambda xml: re.sub("<count>[0-9]+", "<count>-7", xml, count=1),
    "an address that is none": lambda xml: re.sub("<source_ip>[^<]+", "<source_ip>192.0.2.300", xml, count=1),
    "IPv4 in IPv6": lambda xml: re.sub("<source_ip>[0-9.]+<", "<source_ip>::ffff:192.0.2.1<", xml, count=1),
    "IPv6 in full": lambda xml: re.sub("<source_ip>[^<]+", "<source_ip>2001:db8:0:0:0:0:0:1", xml, count=1),
    "somebody else's domain": lambda xml: re.sub("<header_from>[^<]+", "<header_from>example.org", xml, count=1),
}
"""What reporters do to a report."""

EXPLAINED = {
    "generated: a count below nothing": "parsedmarc subtracts it; here the record is dropped, and counted as dropped",
    "generated: no result of SPF": "parsedmarc drops the record; here what is missing has failed",
    "no identifiers": "parsedmarc drops both records, and says so in its log alone",
    "no results": "parsedmarc drops both records",
    "reasons": "parsedmarc drops records with an empty <reason/>",
}
"""Where the totals differ with cause."""
SAME, DIFFERENT = "both, with the same totals", "both, with other totals, explained below"
UNEXPLAINED, OURS, THEIRS, NOBODY = "both, with other totals", "only ours", "only parsedmarc", "neither"


@dataclass
class Totals:
    """What a reader found: messages, by address and by disposition, and those that passed by address."""

    sources: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    dispositions: Counter[str] = field(default_factory=Counter)

    def add(self, source: str, messages: int, passed: bool, disposition: str) -> None:
        """Two ways to write the same are made one: parsedmarc leaves addresses as they were written and takes a missing
        disposition for none; here addresses have one form, and what is missing is left empty.
        """
        address = ip_address(source)
        mapped = address.ipv4_mapped if address.version == 6 else None
        self.sources[str(mapped or address)] += messages
        self.passed[str(mapped or address)] += messages * passed
        self.dispositions[disposition or "none"] += messages


@dataclass
class Kept:
    """A store that adds up."""

    totals: Totals = field(default_factory=Totals)

    def add(self, reading: Reading, digest: str, origin: Origin) -> Added:
        for batch in reading.batches():
            for record in batch:
                self.totals.add(record.source_ip, record.messages, record.passed, record.disposition)
        return Added.NEW

    def add_tls(self, *_: object) -> Added:
        raise NotImplementedError

    def add_failure(self, *_: object) -> Added:
        raise NotImplementedError


def ours(raw: bytes) -> Totals | None:
    """None if it is not read."""
    kept = Kept()
    outcome = take(raw, kept, Rules(now=NOW)).outcome
    return kept.totals if outcome is Outcome.REPORT else None


def theirs(folder: Path) -> list[Totals | None]:
    command = [str(parsedmarc_environment.python(stopwatch())), "-m", "benchmarks.dmarc_records", str(folder)]
    done = subprocess.run(command, cwd=HOME, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"parsedmarc: exit code {done.returncode}: {done.stderr.strip()}")
    return [None if records is None else _added(records) for records in json.loads(done.stdout)]


def _added(records: list[tuple[str, int, bool, str]]) -> Totals:
    totals = Totals()
    for record in records:
        totals.add(*record)
    return totals


def mails() -> Iterator[tuple[str, bytes]]:
    """What is compared, by name."""
    day = Day(BEGIN)
    for name, data in quirks.containers(day).items():
        yield name, mail(data, kind="application/octet-stream")
    for name, text in quirks.texts(day).items():
        yield name, mail(packed(text))
    for name, data in quirks.encodings(day).items():
        yield name, mail(packed(data))
    yield from quirks.mails(day).items()
    corpus = Corpus(random.Random(SEED))
    for number in range(GENERATED):
        name = list(VARIATIONS)[number % len(VARIATIONS)]
        xml = corpus.report(number, corpus.pick.randint(1, RECORDS))
        yield f"generated: {name}", as_mail(VARIATIONS[name](xml), number)


def verdict(name: str, our: Totals | None, their: Totals | None) -> str:
    if our is None or their is None:
        return OURS if our else THEIRS if their else NOBODY
    if our == their:  # a Counter's zeros do not count
        return SAME
    return DIFFERENT if name in EXPLAINED else UNEXPLAINED


def compare() -> dict[str, Counter[str]]:
    """Verdict -> names of the mails -> how many."""
    named = list(mails())
    found: dict[str, Counter[str]] = {one: Counter() for one in (SAME, DIFFERENT, UNEXPLAINED, OURS, THEIRS, NOBODY)}
    with tempfile.TemporaryDirectory(prefix="dmarc-") as folder:
        for number, (_, raw) in enumerate(named):
            (Path(folder) / f"{number:04}.eml").write_bytes(raw)
        for (name, raw), their in zip(named, theirs(Path(folder)), strict=True):
            found[verdict(name, ours(raw), their)][name] += 1
    return found


def main() -> int:
    found = compare()
    print("| read by | mails | |", "|---|---|---|", sep="\n")
    for one, names in found.items():
        words = ", ".join(name if count == 1 else f"{name} ({count})" for name, count in names.items())
        print(f"| {one} | {names.total()} | {'' if one == SAME else words} |")
    print("", "| totals that differ with cause | |", "|---|---|", sep="\n")
    print(*(f"| {name} | {why} |" for name, why in EXPLAINED.items()), sep="\n")
    return 1 if found[UNEXPLAINED] else 0


if __name__ == "__main__":
    sys.exit(main())
