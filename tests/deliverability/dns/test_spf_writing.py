"""Writing SPF records: what is rendered is what was meant, in every string, on the way through HestiaCP."""

import random

import pytest

from deliverability.dns import spf
from deliverability.dns.spf.terms import Modifier
from deliverability.errors import SpfError

POOL = " ".join(f"ip4:207.174.124.{n}" for n in range(90, 110))
OLD = f"v=spf1 a mx ip4:207.174.124.15 {POOL} -all"


def through_hestia(text: str) -> str:
    """What HestiaCP publishes of a long value: strings of 255 bytes, leading blanks dropped, joined by the reader."""
    first, *others = spf.strings(text)
    return "".join([first, *(string.lstrip(" ") for string in others)])


def test_the_old_root_record() -> None:
    record = spf.parse(OLD)
    assert spf.render(record) == str(record) == OLD
    assert [len(string) for string in spf.strings(OLD)] == [255, 170]
    assert spf.answer_bytes("performancewest.net", (OLD, "google-site-verification=x")) == 19 + 425 + 26


def test_a_space_that_would_be_lost_is_moved() -> None:
    text = "v=spf1 " + " ".join(f"ip4:192.0.2.{n}" for n in range(100, 120))
    moved = [text.replace("v=spf1 ", f"v=spf1 {'x' * n}=1 ", 1) for n in range(1, 20)]
    lossy = [spf.parse(padded) for padded in moved if spf.lost_spaces(padded)]
    assert lossy
    for record in lossy:
        written = spf.render(record)
        assert written.count("+ip4:") == 1
        assert spf.lost_spaces(written) == ()
        assert spf.parse(written) == spf.parse(through_hestia(written)) == record
        assert through_hestia(str(record)) != str(record)


def test_lost_spaces_are_counted_from_one() -> None:
    assert spf.lost_spaces("x" * 255 + " " + "x" * 254 + " ") == (256, 511)
    assert spf.lost_spaces("x" * 255) == spf.lost_spaces("x" * 254 + " x") == ()


def test_no_term_can_take_the_plus() -> None:
    record = spf.parse("v=spf1 -exists:" + "a" * 228 + ".example.com -all")
    assert spf.lost_spaces(str(record)) == (256,)
    with pytest.raises(SpfError, match="character 256 is a space"):
        spf.render(record)


def test_a_record_no_txt_record_can_hold() -> None:
    with pytest.raises(SpfError, match="a TXT record holds 65535"):
        spf.render(spf.Spf((spf.Mechanism("+", "mx"),) * 30_000))


def test_strings_are_of_ascii() -> None:
    assert spf.strings("") == ()
    with pytest.raises(SpfError, match="outside ASCII"):
        spf.strings("v=spf1 \u00e4")


WORDS = (
    *("all", "a", "mx", "ptr", "a/24", "mx//64", "a:host.example.com/24//64", "mx:example.com.", "ptr:example.com"),
    *("include:_spf.example.com", "exists:%{ir}.%{v}._spf.%{d2}", "exists:%{L1r-+}.%%%_%-.example.com", "A:Ex.Example"),
    *("ip4:192.0.2.1", "ip4:192.0.2.0/24", "ip4:0.0.0.0/0", "ip6:2001:db8::/32", "ip6:::1", "ip6:::ffff:192.0.2.1/128"),
)
ONCE = ("redirect=_spf.example.com", "exp=%{d}", "moo=", "tag.x-y_z=a=b/%{o}", "Tag=1")


def generated(seed: int) -> spf.Spf:
    chance = random.Random(seed)
    words = [chance.choice(["", "+", "-", "~", "?"]) + chance.choice(WORDS) for _ in range(chance.randint(0, 40))]
    words += chance.sample(ONCE, chance.randint(0, len(ONCE)))
    chance.shuffle(words)
    return spf.parse((" " * chance.randint(1, 3)).join(["V=sPF1", *words]))


@pytest.mark.parametrize("seed", range(300))
def test_what_is_written_is_what_was_meant(seed: int) -> None:
    record = generated(seed)
    try:
        written = spf.render(record)
    except SpfError as error:
        assert "HestiaCP would lose" in error.fact  # noqa: PT017
        return
    assert spf.parse(written) == spf.parse(str(record)) == spf.parse(through_hestia(written)) == record
    assert spf.lost_spaces(written) == ()
    assert all(0 < len(string.encode()) <= 255 for string in spf.strings(written))


def test_most_records_can_be_written() -> None:
    texts = [str(generated(seed)) for seed in range(300)]
    assert sum(bool(spf.lost_spaces(text)) for text in texts) > 5
    assert sum(len(text) > 255 for text in texts) > 100


def test_modifiers_keep_their_place() -> None:
    assert spf.parse("v=spf1 Moo=X a").terms == (Modifier("moo", "X"), spf.Mechanism("+", "a"))
