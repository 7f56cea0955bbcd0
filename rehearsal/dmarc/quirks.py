"""What real reporters send, each in its own way: the census of 117 public reports, and the issues of other parsers.

Each brings the two records that `report` writes.
"""

import base64
import quopri
from datetime import UTC, datetime

from rehearsal.dmarc.written import POLICY, Day, bare, mail, packed, prefixed, record, report, zipped


def containers(day: Day) -> dict[str, bytes]:
    """Packed in whatever way."""
    xml = report(day)
    return {
        "gzip": packed(xml),
        "gzip of two members": packed(xml[:500]) + packed(xml[500:]),
        "gzip with zeros after it": packed(xml) + bytes(64),
        "gzip with text after it": packed(xml) + b"\r\n-- \r\nsent by a mailer\r\n",
        "gzip without its checksum": packed(xml)[:-8],
        "gzip in gzip": packed(packed(xml)),
        "gzip in zip": zipped(("a.xml.gz", packed(xml))),
        "zip in gzip": packed(zipped(("a.xml", xml.encode()))),
        "zip": zipped(("a.xml", xml.encode())),
        "zip with a Mac's folder first": zipped(("__MACOSX/._a.xml", b"junk"), ("a.xml", xml.encode())),
        "zip with a folder": zipped(("folder/", b""), ("folder/a.xml", xml.encode())),
        "zip with a path": zipped(("../../etc/passwd", xml.encode())),
        "plain": xml.encode(),
    }


def texts(day: Day) -> dict[str, str]:
    """XML in whatever way."""
    return {**_written(day), **_composed(day)}


def _written(day: Day) -> dict[str, str]:
    xml = report(day)
    return {
        "no declaration": report(day, start="<feedback>"),
        "no newline after the declaration": report(day, start='<?xml version="1.0"?><feedback>'),
        "blanks before it": "\r\n  \t" + xml,
        "byte order mark": "\ufeff" + xml,
        "old namespace": report(day, start='<feedback xmlns="http://dmarc.org/dmarc-xml/0.1">'),
        "new namespace": report(day, start='<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">'),
        "schema instance": report(
            day,
            start='<feedback xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="x">',
        ),
        "prefix": prefixed(xml, "d"),
        "schema that nobody closes": report(
            day, start='<feedback><xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
        ),
        "schema around it": '<xs:schema xmlns:xs="x">' + report(day, start="<feedback>") + "</xs:schema>",
        "upper case": xml.upper().replace("<?XML VERSION", "<?xml version").replace("ENCODING", "encoding"),
        "blanks around values": xml.replace("<count>", "<count>\n  ").replace("</source_ip>", "\t </source_ip>"),
        "junk after it": xml + "\n\n<junk>&nonsense; <",
        "comments": xml.replace("<row>", "<!-- a > b --><row><?pi x?>"),
        "character data": xml.replace("google.com</org_name>", "<![CDATA[A <b> & C]]></org_name>"),
        "ampersand": xml.replace("google.com</org_name>", "Smith & Sons</org_name>"),
        "identifier in brackets": xml.replace(day.number, f"<{day.number}@google.com>"),
        "control characters": xml.replace("google.com</org_name>", "goo\x01\x08gle</org_name>"),
    }


def _composed(day: Day) -> dict[str, str]:
    xml = report(day)
    return {
        "no email": report(day, metadata=day.metadata.replace("<email>noreply@google.com</email>", "")),
        "no name": report(day, metadata=day.metadata.replace("<org_name>google.com</org_name>", "")),
        "error in its metadata": report(
            day, metadata=day.metadata.replace("<date_range>", "<error>few</error><error>more</error><date_range>")
        ),
        "fractions of seconds": report(day, metadata=day.metadata.replace("</begin>", ".0</begin>")),
        "ISO dates": report(
            day, metadata=day.metadata.replace(str(day.begin), datetime.fromtimestamp(day.begin, UTC).isoformat())
        ),
        "end before begin": report(
            day, metadata=day.metadata.replace("begin>", "x>").replace("end>", "begin>").replace("x>", "end>")
        ),
        "no pct and sp": report(
            day, policy="<policy_published><domain>performancewest.net</domain><p>reject</p></policy_published>"
        ),
        "two policies": report(day, policy=POLICY + POLICY.replace("reject", "none")),
        "policy after the records": xml.replace(POLICY, "").replace("</feedback>", POLICY + "</feedback>"),
        "metadata after the records": xml.replace(day.metadata, "").replace(
            "</feedback>", day.metadata + "</feedback>"
        ),
        "version": xml.replace("<feedback>", "<feedback><version>1.0</version>"),
        "extension": xml.replace("</feedback>", "<extension><row><count>9</count></row></extension></feedback>"),
        "extension of another namespace": report(
            day,
            record(extra='<x:row xmlns:x="urn:x"><x:count>9</x:count></x:row>')
            + record("198.51.100.7", 3, "reject", "fail", "fail"),
        ),
        "language": xml.replace("<org_name>", '<org_name xml:lang="en">'),
        "identities": xml.replace("identifiers>", "identities>"),
        "no results": xml.replace("<auth_results>", "<x>").replace("</auth_results>", "</x>"),
        "no identifiers": xml.replace("<identifiers>", "<x>").replace("</identifiers>", "</x>"),
        "reasons": xml.replace(
            "</spf></policy_evaluated>",
            "</spf><reason><type>local_policy</type><comment>arc=pass</comment></reason><reason/></policy_evaluated>",
        ),
    }


def encodings(day: Day) -> dict[str, bytes]:
    """Bytes in whatever encoding."""
    xml = report(day)
    return {
        "utf-16": xml.replace("UTF-8", "UTF-16").encode("utf-16"),
        "utf-16 without a mark": xml.encode("utf-16-le"),
        "utf-16 big end first": b"\xfe\xff" + xml.encode("utf-16-be"),
        "utf-16 declared only": xml.replace("UTF-8", "UTF-16").encode(),
        "windows-1252": xml.replace("UTF-8", "windows-1252")
        .replace("google.com</org", "Caf\u00e9 \u20ac</org")
        .encode("cp1252"),
        "windows-1252 called utf-8": xml.replace("google.com</org", "Caf\u00e9 \u20ac</org").encode("cp1252"),
        "an encoding that nobody knows": xml.replace("UTF-8", "x-user-defined").encode(),
        "bytes that are none": xml.encode().replace(b"google.com</org", b"\xff\xfe\x81</org"),
    }


def mails(day: Day) -> dict[str, bytes]:
    """Mails that bring it in whatever way."""
    xml = report(day)
    return {
        "octet stream": mail(packed(xml), kind="application/octet-stream"),
        "called a picture": mail(packed(xml), kind="image/png"),
        "called text": mail(packed(xml), kind="application/xml"),
        "xml in 7bit": bare("text/xml", xml.encode()),
        "xml quoted-printable": bare("text/xml", quopri.encodestring(xml.encode()), "quoted-printable"),
        "xml in base64": bare("text/xml", base64.encodebytes(xml.encode()), "base64"),
        "xml in a plain body": bare("text/plain", b"Dear postmaster,\n\n" + xml.encode()),
        "gzip as plain text": bare("text/plain", base64.encodebytes(packed(xml)), "base64"),
        "gzip as html": bare("text/html", base64.encodebytes(packed(xml)), "base64"),
        "no content type that is one": b"From: a@example.com\nContentType: application/gzip\n\n"
        + base64.encodebytes(packed(xml)),
        "a message in the message": bare("message/rfc822", mail(packed(xml))),
        "html before it": mail(packed(xml)).replace(b"This is an aggregate report.", b"<html><p>Preview</p></html>"),
    }
