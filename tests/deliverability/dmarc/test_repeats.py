"""A record that was not parsed means what it would have meant."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deliverability.dmarc.aggregate import Reading
from deliverability.dmarc.report import Record
from deliverability.errors import BadReport
from tests.deliverability.dmarc.written import NOW, Bytes, record, report


def read(text: str, size: int = 1 << 20) -> tuple[list[Record], dict[str, int]]:
    reading = Reading(Bytes(text.encode(), size), NOW)
    found = [one for batch in reading.batches() for one in batch]
    assert (reading.records, reading.messages) == (len(found), sum(one.messages for one in found))
    return found, dict(reading.dropped)


def unrepeated(text: str) -> str:
    """The same report, written so that every record has to be parsed."""
    return text.replace("<record>", "<record >")


def various(seed: int, count: int) -> str:
    pick = random.Random(seed)
    return "\n  ".join(
        record(
            pick.choice(["192.0.2.1", "2001:db8::7", "198.51.100.300", "203.0.113.9"]),
            pick.choice([1, 5, 0, 2_000_000_000]),
            pick.choice(["none", "reject"]),
            pick.choice(["pass", "fail"]),
            pick.choice(["pass", "fail"]),
            extra=pick.choice(["", "", "<!-- x -->", "<x:y xmlns:x='u'><count>3</count></x:y>"]),
        )
        for _ in range(count)
    )


@pytest.mark.parametrize("size", [1, 7, 64, 1_000, 1 << 20])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_same_as_parsing_all(seed: int, size: int) -> None:
    text = report(various(seed, 60))
    assert read(text, size) == read(unrepeated(text))


HIDDEN = record(count=7)
TRICKS = {
    "a comment over records": record() * 3 + f"<!-- {record()} -->" + record() * 2,
    "a comment that ends in a record": record() * 3 + "<!-- <record> -->" + record(),
    "a comment that looks ended": record() * 3 + f"<!-- > {record()} -->" + record(),
    "an instruction over records": record() * 3 + f"<?pi > {record()} ?>" + record(),
    "a section of text outside": record() * 3 + f"<![CDATA[{record()}]]>" + record(),
    "an attribute over records": record() * 3 + f"<x a='>{record()}'/>" + record(),
    "a section of text over records": record() * 3 + f"<x><![CDATA[{record()}]]></x>" + record(),
    "an extension with records": record() * 3 + f"<extension>{record() * 2}</extension>" + record(),
    "a record within a record": record() * 2 + record(extra=record()) * 2 + record(),
    "two rows": (record(extra="<row><source_ip>192.0.2.66</source_ip><count>9</count></row>") + record()) * 3,
    "a count of somebody else's": record(extra="<x><count>3</count></x>") * 3,
    "the end of a record in a comment": record(extra="<!-- </record> -->") * 3,
    "text between them": (record() + "text") * 3,
    "another spelling": record() + record().replace("count>", "COUNT>") + record(),
    "an attribute": record() + record().replace("<record>", "<record a='1'>") + record(),
    "blanks inside": record("192.0.2.1 ", " 4") * 3,
    "a report within": record() + f"<feedback>{record()}</feedback>" + record(),
    "an empty element": record() * 2 + record().replace("<selector>send</selector>", "<selector/>") * 3,
    "an empty reason": record().replace("</policy_evaluated>", "<reason/></policy_evaluated>") * 3,
    "two of a field": record().replace("<count>2</count>", "<count>2</count><count>3</count>") * 3,
    "a field within a field": record().replace("<count>2</count>", "<count>2<x>3</x>4</count>") * 3,
    "results of others": record(extra="<extension><dkim><domain>x</domain></dkim></extension>") * 3,
    "count before address": record()
    .replace("<source_ip>207.174.124.94</source_ip>", "")
    .replace("</count>", "</count><source_ip>192.0.2.1</source_ip>")
    * 3,
    "no count": record().replace("<count>2</count>", "") * 3,
    "more elements than anybody has": record(extra="<x></x>" * 5_000) * 3,
    "an end that is empty": record(extra="<x></x/>") * 2,
    "elements that cross": record(extra="<x><y></x></y>") * 2,
    "an element that nobody closes": record(extra="<x>") * 2,
    "an element that nobody opens": record(extra="</x>") * 2,
    "deep": record(extra="<x>" * 40 + "</x>" * 40) * 2,
    "many layouts": "".join(record(extra="<x></x>" * number) * 2 for number in range(40)),
}


@pytest.mark.parametrize("records", TRICKS.values(), ids=TRICKS)
@pytest.mark.parametrize("size", [1, 50, 1 << 20])
def test_no_trick_makes_it_read_otherwise(records: str, size: int) -> None:
    text = report(records)
    assert outcome(text, size) == outcome(unrepeated(text), 1 << 20)


def test_what_is_known_from_one_estate_s_report_is_not_taken_for_another_s() -> None:
    text = report(record(author="other.example") * 2 + record())
    for ours, dropped in ((None, 0), (("performancewest.net",), 2), (("performancewest.net", "other.example"), 0)):
        reading = Reading(Bytes(text.encode()), NOW, ours)
        assert sum(map(len, reading.batches())) == 3 - dropped
        assert reading.dropped.total() == dropped


TEXTS = st.sampled_from(
    [
        *(
            "pass",
            " Pass\n",
            "",
            "fail",
            "192.0.2.1",
            "7",
            "a.example",
            "A.Example",
            "\u00e9",
            "&amp;",
            "&lt;x>",
            "a\r\nb",
        ),
        *("a > b", "]]>", "x" * 300, "x" * 5_000, "\x7f", "<![CDATA[7]]>", "<!-- 7 -->", "<count>7</count>", "{0}"),
    ]
)


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(st.lists(st.tuples(*[TEXTS] * 6), min_size=2, max_size=6), st.integers(1, 3_000))
def test_whatever_a_text_is(records: list[tuple[str, ...]], size: int) -> None:
    text = report("\n".join(record() + record(*texts[:5], extra=f"<x>{texts[5]}</x>") for texts in records))
    assert outcome(text, size) == outcome(unrepeated(text), 1 << 20)


@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(
    st.lists(
        st.sampled_from(
            [
                "<record>",
                "</record>",
                "<row>",
                "</row>",
                HIDDEN,
                record(),
                "<!--",
                "-->",
                "<x>",
                "</x>",
                "<![CDATA[",
                "]]>",
                "<?a ",
                "?>",
                "<x a='",
                "'>",
                " ",
            ]
        ),
        max_size=12,
    ),
    st.integers(1, 600),
)
def test_whatever_is_put_together(parts: list[str], size: int) -> None:
    text = report(record() * 2 + "".join(parts) + record())
    assert outcome(text, size) == outcome(unrepeated(text), 1 << 20)


def outcome(text: str, size: int) -> object:
    try:
        return read(text, size)
    except BadReport:
        return "bad"
