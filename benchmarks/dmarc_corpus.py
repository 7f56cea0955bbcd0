"""Mails with aggregate reports as reporters send them; the same seed gives the same ones.

`python -m benchmarks.dmarc_corpus NAME FOLDER` writes one of CORPORA into a folder, and tells in JSON what is in it: a
process of its own, since the one that measures must stay small.
"""

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rehearsal.dmarc.week import MX, REPORTERS, proved
from rehearsal.dmarc.written import DOMAIN, Day, mail, packed, report

SEED = 20_260_836
"""Of a few thousand, the one whose mails have the number of records that the targets were set for."""
BEGIN = 1_779_580_800
"""2026-05-24, midnight in UTC."""
DAYS = 30
DAY_SECONDS = 86_400
NOW = float(BEGIN + DAYS * DAY_SECONDS + 6 * 3_600)
AUTHSERV_ID = MX

MAILS = 2_000
SIZES = ((85, (1, 20)), (13, (20, 200)), (2, (1_000, 3_000)))
"""Per cent of the mails, and the records of each."""
LARGEST = 100_000
"""Records of the largest report that was ever seen."""

OWN = tuple(f"207.174.124.{number}" for number in (15, 71, 94, 107, 109))
STREAMS = (DOMAIN, DOMAIN, f"news.{DOMAIN}", f"send.{DOMAIN}")
FORWARDERS = 3_000
"""Domains that forward mail under their own name; the first ones much more than the last ones."""
INDENTED = ("  ", "\t", "    ")


RECORD = """\
  <record>
    <row>
      <source_ip>{source}</source_ip>
      <count>{count}</count>
      <policy_evaluated>
        <disposition>{shape.disposition}</disposition>
        <dkim>{shape.dkim}</dkim>
        <spf>{shape.spf}</spf>{reason}
      </policy_evaluated>
    </row>
    <identifiers>
      <envelope_to>example.com</envelope_to>
      <envelope_from>{shape.envelope}</envelope_from>
      <header_from>{shape.author}</header_from>
    </identifiers>
    <auth_results>{signatures}
      <spf>
        <domain>{shape.envelope}</domain>
        <scope>mfrom</scope>
        <result>{shape.spf}</result>
      </spf>
    </auth_results>
  </record>
"""
REASON = """
        <reason>
          <type>{}</type>
          <comment></comment>
        </reason>"""
SIGNATURE = """
      <dkim>
        <domain>{}</domain>
        <selector>send</selector>
        <result>{}</result>
      </dkim>"""


@dataclass
class Facts:
    """What a corpus is."""

    mails: int = 0
    records: int = 0
    megabytes: float = 0.0
    """Of XML."""
    repeating: int = 0
    """Records that differ from an earlier one of their report in address and count alone."""


@dataclass(frozen=True)
class Shape:
    """All of a record but its address and count."""

    kind: str
    disposition: str
    dkim: str
    spf: str
    author: str
    envelope: str
    signers: tuple[str, ...] = ()
    reason: str = ""


@dataclass
class Corpus:
    pick: random.Random = field(default_factory=lambda: random.Random(SEED))
    facts: Facts = field(default_factory=Facts)

    def many(self) -> Iterator[bytes]:
        """Two thousand reports of a month."""
        ranges = self.pick.choices([size for _, size in SIZES], [share for share, _ in SIZES], k=MAILS)
        sizes = [self.pick.randint(*size) for size in ranges]
        return (self.mail(number, size) for number, size in enumerate(sizes))

    def large(self) -> Iterator[bytes]:
        yield self.mail(0, LARGEST)

    def mail(self, number: int, records: int) -> bytes:
        return as_mail(self.report(number, records), number)

    def report(self, number: int, records: int) -> str:
        reporter = REPORTERS[number % len(REPORTERS)]
        indent = INDENTED[number % len(INDENTED)]
        shapes = [self._shape() for _ in range(records)]
        text = "".join(_written(shape, self._source(shape), self._count(), indent) for shape in shapes)
        day = Day(BEGIN + self.pick.randrange(DAYS) * DAY_SECONDS, f"{reporter}-{number}")
        xml = report(day, text, day.metadata.replace("google.com", reporter))
        self.facts.mails += 1
        self.facts.records += records
        self.facts.megabytes += len(xml) / 1e6
        self.facts.repeating += records - len(set(shapes))
        return xml

    def _shape(self) -> Shape:
        make = self.pick.choices((self._own, self._forwarded, self._spoofed), (30, 40, 30))[0]
        return make()

    def _own(self) -> Shape:
        author = self.pick.choice(STREAMS)
        dkim = "pass" if self.pick.random() < 0.97 else "fail"
        return Shape("own", "none", dkim, "pass", author, author, (author, "mailer.example"))

    def _forwarded(self) -> Shape:
        """By a host that keeps the envelope, or by one that writes its own domain into it."""
        author = self.pick.choice(STREAMS)
        number = int(FORWARDERS ** self.pick.random())
        envelope = author if self.pick.random() < 0.6 else f"lists{number}.example"
        reason = self.pick.choice(("", "", "forwarded", "mailing_list", "local_policy"))
        return Shape("forwarded", "none", "pass", "fail", author, envelope, (author,), reason)

    def _spoofed(self) -> Shape:
        """Under our name or one below it that nobody has, with our envelope or one of the sender's own."""
        odd = self.pick.random()
        name = f"x{self.pick.getrandbits(24):x}"
        author = f"{name}.{DOMAIN}" if odd < 0.05 else DOMAIN
        envelope = author if odd < 0.6 else f"{name}.example.org"
        return Shape("spoofed", "reject", "fail", "fail", author, envelope, (envelope,) if odd > 0.9 else ())

    def _source(self, shape: Shape) -> str:
        if shape.kind == "own":
            return self.pick.choice(OWN)
        bits = self.pick.getrandbits(32)
        if self.pick.random() < 0.2:
            return f"2001:db8:{bits >> 24 or 1:x}::{bits >> 8 & 0xFFFF:x}:{bits & 0xFF:x}"
        return f"{bits >> 24 or 1}.{bits >> 16 & 255}.{bits >> 8 & 255}.{bits & 255}"

    def _count(self) -> int:
        return int(1_000 ** (self.pick.random() ** 2))


CORPORA = {"many reports": Corpus.many, "one large report": Corpus.large}


def as_mail(xml: str, number: int) -> bytes:
    reporter = REPORTERS[number % len(REPORTERS)]
    return proved(mail(packed(xml), sender=f"noreply@{reporter}"), reporter)


def _written(shape: Shape, source: str, count: int, indent: str) -> str:
    reason = REASON.format(shape.reason) if shape.reason else ""
    signatures = "".join(SIGNATURE.format(signer, shape.dkim) for signer in shape.signers)
    text = RECORD.format(source=source, count=count, shape=shape, reason=reason, signatures=signatures)
    return text.replace("  ", indent)


def main() -> None:
    name, folder = sys.argv[1:]
    corpus = Corpus()
    for number, raw in enumerate(CORPORA[name](corpus)):
        (Path(folder) / f"{number:04}.eml").write_bytes(raw)
    print(json.dumps(asdict(corpus.facts)))


if __name__ == "__main__":
    main()
