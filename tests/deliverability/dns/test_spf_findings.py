"""What a record amounts to: surveyed, examined, compared and merged, without asking a network."""

from ipaddress import ip_network

import pytest

from deliverability.dns import spf
from deliverability.errors import LookupFailed, Refused
from deliverability.finding import Verdict

ZONE = {
    "example.com": {"A": ["192.0.2.71"], "MX": ["mx.example.com"]},
    "mx.example.com": {"A": ["192.0.2.15"], "AAAA": ["2001:db8::15"]},
    "half.example.com": {"TXT": ["v=spf1 -ip4:198.51.100.128/25 ip4:198.51.100.0/24 -all"]},
    "loop.example.com": {"TXT": ["v=spf1 ip4:203.0.113.1 include:loop.example.com include:loop.example.com -all"]},
    "broken.example.com": {"TXT": ["v=spf1 bogus"]},
    "double.example.com": {"TXT": ["v=spf1 a", "v=spf1 mx"]},
    "many.example.com": {"MX": [f"m{n}.example.com" for n in range(11)], "A": ["192.0.2.80"]},
    "silent.example.com": {"TXT": None, "A": None},
    **{f"i{n}.example.com": {"TXT": ["v=spf1 ip4:203.0.113.9"]} for n in range(12)},
}
LOOKUP = spf.offline(ZONE)


def nets(record: str) -> list[str]:
    return [str(network) for network in spf.authorised(spf.parse(record), "Example.com.", LOOKUP)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1 a mx -all", ["192.0.2.15/32", "192.0.2.71/32", "2001:db8::15/128"]),
        ("v=spf1 a/24 -all", ["192.0.2.0/24"]),
        ("v=spf1 ip4:192.0.2.2 ip4:192.0.2.3 -all", ["192.0.2.2/31"]),
        ("v=spf1 -ip4:192.0.2.2 ip4:192.0.2.0/30 -all", ["192.0.2.0/31", "192.0.2.3/32"]),
        ("v=spf1 include:half.example.com -all", ["198.51.100.0/25"]),
        ("v=spf1 ?include:half.example.com ip4:198.51.100.0/24 -all", ["198.51.100.128/25"]),
        ("v=spf1 redirect=half.example.com", ["198.51.100.0/25"]),
        ("v=spf1 -ip4:198.51.100.0/26 redirect=half.example.com", ["198.51.100.64/26"]),
        ("v=spf1 +all", ["0.0.0.0/0", "::/0"]),
        ("v=spf1 exists:example.com -all", ["0.0.0.0/0", "::/0"]),
        ("v=spf1 -ip4:0.0.0.0/1 all", ["128.0.0.0/1", "::/0"]),
        ("v=spf1 ip4:192.0.2.1 include:broken.example.com ip4:192.0.2.9", ["192.0.2.1/32"]),
        ("v=spf1 mx:many.example.com ip4:192.0.2.9", []),
        ("v=spf1 include:loop.example.com", ["203.0.113.1/32"]),
        ("v=spf1 a:%{d} a:%{i}.example.com ptr -all", ["192.0.2.71/32"]),
        ("v=spf1 a:x.example.com a:y.example.com a:z.example.com ip4:192.0.2.9", []),
        ("v=spf1", []),
    ],
)
def test_authorised(record: str, expected: list[str]) -> None:
    assert nets(record) == expected


def test_what_cannot_be_listed_is_named() -> None:
    record = spf.parse("v=spf1 ptr exists:%{i}.example.com -exists:%{l}.example.com include:%{h} redirect=%{o}")
    found = spf.survey(record, "example.com", LOOKUP)
    terms = ("ptr", "exists:%{i}.example.com", "include:%{h}", "redirect=%{o}")
    assert found.unlisted == tuple(f"{term} of example.com" for term in terms)
    assert (found.lookups, found.faults) == (5, ())


def test_lookups_are_counted_in_all_records() -> None:
    record = spf.parse("v=spf1 a mx ptr include:half.example.com exists:example.com ip4:192.0.2.1 -all")
    assert spf.lookups(record) == spf.lookups(record, "example.com", LOOKUP) == 5
    nested = {**ZONE, "top.example.com": {"TXT": ["v=spf1 include:half.example.com a ?all"]}}
    record = spf.parse("v=spf1 include:top.example.com -all")
    assert (spf.lookups(record), spf.lookups(record, "example.com", spf.offline(nested))) == (1, 3)
    assert spf.lookups(spf.parse("v=spf1 include:loop.example.com"), "example.com", LOOKUP) == 31


def test_a_long_record_asks_few_questions() -> None:
    asked: list[str] = []

    def lookup(name: str, kind: str) -> tuple[str, ...]:
        asked.append(f"{name} {kind}")
        return ("192.0.2.1",) if kind == "A" else ()

    record = spf.parse("v=spf1" + " a" * 5000)
    found = spf.survey(record, "example.com", lookup)
    assert (found.lookups, len(asked)) == (31, 60)
    assert len(found.faults) == 1


def test_a_question_without_answer_leaves_no_doubtful_list() -> None:
    with pytest.raises(LookupFailed):
        nets("v=spf1 ip4:192.0.2.1 a:silent.example.com")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=spf1 a mx -all", []),
        ("v=spf1 a mx ~all", []),
        ("v=spf1 redirect=half.example.com", []),
        ("v=spf1 a", [("SPF all", "warning", "no all")]),
        ("v=spf1 a ?all", [("SPF all", "warning", "?all says nothing")]),
        ("v=spf1 a +all", [("SPF all", "fail", "+all lets everyone pass")]),
        ("v=spf1 -all a redirect=x.example.com", [("SPF all", "warning", "never tried: a, redirect=x.example.com")]),
        ("v=spf1 ptr -all", [("SPF ptr", "warning", "ptr")]),
        ("v=spf1 a mx a -all", [("SPF terms", "warning", "repeated: a")]),
        ("v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", [("SPF width", "fail", "4294967296")]),
        ("v=spf1 include:broken.example.com -all", [("SPF evaluation", "fail", "unknown mechanism: 'bogus'")]),
        ("v=spf1 include:double.example.com -all", [("SPF evaluation", "fail", "2 SPF records")]),
        ("v=spf1 include:none.example.com -all", [("SPF evaluation", "fail", "publishes no SPF record")]),
        ("v=spf1 mx:many.example.com -all", [("SPF evaluation", "fail", "11 MX records"), ("SPF empty", "fail", "m0")]),
        ("v=spf1 include:silent.example.com -all", [("SPF evaluation", "unknown", "no answer for silent")]),
        ("v=spf1 a:x.example.com -all", [("SPF empty answers", "warning", "x.example.com A")]),
        (
            "v=spf1 a a:many.example.com ip4:192.0.2.9 exists:example.com/x.example.com a:example.com -all",
            [("SPF empty answers", "warning", "A"), ("SPF empty answers", "warning", "AAAA")],
        ),
        ("v=spf1 a:x.example.com a:y.example.com a:z.example.com -all", [("SPF empty", "fail", "x.example.com A")]),
    ],
)
def test_problems(record: str, expected: list[tuple[str, str, str]]) -> None:
    found = spf.problems([record, "google-site-verification=x"], "example.com", LOOKUP)
    # A client of the family without addresses fails as well where three names are gone; that is said once more.
    shown = [(finding.check, str(finding.verdict), finding.observed) for finding in found]
    assert len(shown) >= len(expected), shown
    assert all(
        any(check.startswith(c) and verdict == v and part in text for check, verdict, text in shown)
        for c, v, part in expected
    ), shown
    assert bool(shown) == bool(expected), shown
    assert all(finding.fix and finding.where == "example.com" for finding in found)


def test_more_than_ten_lookups() -> None:
    record = "v=spf1 " + " ".join(f"include:i{n}.example.com" for n in range(11)) + " -all"
    found = spf.problems([record], "example.com", LOOKUP)
    assert [(finding.check, finding.verdict) for finding in found] == [
        ("SPF lookups", Verdict.FAIL),
        ("SPF evaluation", Verdict.FAIL),
    ]
    assert found[0].observed == "11"


@pytest.mark.parametrize(
    ("texts", "observed"),
    [
        ([], "none"),
        (["v=spf10"], "none"),
        (["v=spf1 a", "v=spf1 mx"], "2 SPF records"),
        (["v=spf1 ip4:192.0.2.1-all"], "no ip4 network"),
        (["v=spf1 \u00e4"], "character 8 is"),
    ],
)
def test_no_record_that_can_be_read(texts: list[str], observed: str) -> None:
    (finding,) = spf.problems(texts, "example.com", LOOKUP)
    assert finding.verdict is Verdict.FAIL
    assert observed in finding.observed


def test_the_answer_size_counts_the_name_and_every_txt_record() -> None:
    record = "v=spf1 " + " ".join(f"ip4:192.0.2.{n}" for n in range(100, 122)) + " -all"
    assert spf.problems([record], "example.com", LOOKUP) == ()
    (finding,) = spf.problems([record, "x" * 100], "example.com", LOOKUP)
    assert (finding.check, finding.verdict, finding.observed) == ("SPF answer size", Verdict.WARNING, "474 bytes")


def test_diff() -> None:
    old, new = spf.parse("v=spf1 a mx ip4:192.0.2.1 ~all"), spf.parse("v=spf1 A ip4:192.0.2.2 MX -all")
    assert spf.diff(old, new) == spf.Difference(("ip4:192.0.2.1", "~all"), ("ip4:192.0.2.2", "-all"), moved=False)
    assert spf.diff(old, old).empty
    assert spf.diff(old, spf.parse("v=spf1 mx a ip4:192.0.2.1 ~all")) == spf.Difference((), (), moved=True)
    assert spf.diff(spf.parse("v=spf1 a a"), spf.parse("v=spf1 a")).gone == ("a",)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (["v=spf1 a -all", "v=spf1 mx a ~all"], "v=spf1 a mx -all"),
        (["v=spf1 a -all"], "v=spf1 a -all"),
        (["v=spf1 ip4:192.0.2.1 ?all", "v=spf1 ip4:192.0.2.0/24"], "v=spf1 ip4:192.0.2.0/24 ?all"),
        (["v=spf1 ip4:192.0.2.1/32 -all", "v=spf1 ip4:192.0.2.1 -all"], "v=spf1 ip4:192.0.2.1/32 -all"),
        (["v=spf1 a exp=x.example.com -all", "v=spf1 tag=1 -all"], "v=spf1 a exp=x.example.com tag=1 -all"),
        (["v=spf1 ip6:2001:db8::/32 -all", "v=spf1 ip4:192.0.2.1 -all"], "v=spf1 ip6:2001:db8::/32 ip4:192.0.2.1 -all"),
    ],
)
def test_merged(records: list[str], expected: str) -> None:
    parsed = [spf.parse(record) for record in records]
    one = spf.merged(parsed)
    assert spf.render(one) == expected
    assert spf.merged([one]) == spf.merged([one, one]) == one
    assert spf.merged([one, *parsed]) == one


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (["v=spf1 a -all", "v=spf1 -ip4:192.0.2.1 mx -all"], "-ip4:192.0.2.1 does not pass"),
        (["v=spf1 a -all", "v=spf1 +all"], "+all lets everyone pass"),
        (["v=spf1 a -all", "v=spf1 redirect=x.example.com"], "redirect= has no place"),
        (["v=spf1 a exp=x.example.com", "v=spf1 exp=y.example.com"], "different explanations"),
    ],
)
def test_what_only_a_person_can_merge(records: list[str], reason: str) -> None:
    with pytest.raises(Refused, match="2 SPF records cannot be merged") as caught:
        spf.merged([spf.parse(record) for record in records])
    assert reason in caught.value.reasons[0]


def test_a_merged_record_lets_pass_whom_one_of_several_does() -> None:
    records = [spf.parse("v=spf1 a ip4:192.0.2.90/31 -all"), spf.parse("v=spf1 mx ip4:192.0.2.91 ~all")]
    either = {net for record in records for net in spf.authorised(record, "example.com", LOOKUP)}
    assert set(spf.authorised(spf.merged(records), "example.com", LOOKUP)) == either - {ip_network("192.0.2.91/32")}


def test_nothing_to_merge() -> None:
    with pytest.raises(Refused):
        spf.merged([])


def test_a_record_as_if_it_were_published() -> None:
    lookup = spf.as_if(LOOKUP, {"Example.COM.": "v=spf1 ip4:192.0.2.1 -all"})
    assert lookup("example.com", "TXT") == ("v=spf1 ip4:192.0.2.1 -all",)
    assert lookup("example.com", "A") == ["192.0.2.71"]


def test_every_question_is_asked_once() -> None:
    asked: list[tuple[str, str]] = []

    def lookup(name: str, kind: str) -> tuple[str, ...]:
        asked.append((name, kind))
        return ()

    remembered = spf.remembered(lookup)
    assert remembered("x.example.com", "A") == remembered("x.example.com", "A") == ()
    assert asked == [("x.example.com", "A")]


def test_all_names_are_there_and_sorted() -> None:
    assert all(hasattr(spf, name) for name in spf.__all__)
    assert list(spf.__all__) == sorted(spf.__all__, key=lambda name: (not name.isupper(), name.islower(), name))
