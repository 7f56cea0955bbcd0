"""Charts are real pictures, whatever the days were; what stands in them is read as text, never as a formula."""

import base64
import io
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from PIL import Image

from deliverability.dmarc.summary import Day
from reports import charts

FIRST = date(2026, 5, 25)
START = "data:image/png;base64,"


def days(*messages: int, rate: float = 97.5) -> list[Day]:
    return [
        Day(FIRST + timedelta(days=number), count, rate if count else None) for number, count in enumerate(messages)
    ]


def picture(address: str) -> Image.Image:
    """What a data address holds, every pixel of it decoded."""
    assert address.startswith(START)
    found = Image.open(io.BytesIO(base64.b64decode(address.removeprefix(START), validate=True)))
    assert found.format == "PNG"
    found.load()
    return found.convert("RGB")


def colours(address: str) -> set[tuple[int, ...]]:
    found = picture(address)
    return {colour for _, colour in found.getcolors(1 << 24) or () if isinstance(colour, tuple)}


CASES: dict[str, Callable[[], str]] = {
    "a month": lambda: charts.volume(days(*range(30))),
    "a day": lambda: charts.volume(days(5)),
    "nothing sent": lambda: charts.volume(days(0, 0)),
    "no days": lambda: charts.volume([]),
    "very much": lambda: charts.volume(days(2**40, 1)),
    "rates of a month": lambda: charts.rates({"192.0.2.1": days(*range(30)), "192.0.2.2": days(*[1] * 30)}, 95),
    "rates of a day": lambda: charts.rates({"192.0.2.1": days(5)}, 95),
    "none sent": lambda: charts.rates({"192.0.2.1": days(0, 0)}, 95),
    "no address": lambda: charts.rates({}, 95),
    "all fail": lambda: charts.rates({"192.0.2.1": days(5, 5, rate=0.0)}, 95),
    "many addresses": lambda: charts.rates({f"192.0.2.{number}": days(5, 5) for number in range(40)}, 95),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_it_is_a_picture_of_one_size(make: Callable[[], str]) -> None:
    assert picture(make()).size == (900, 250)


def test_what_passes_and_what_fails_can_be_seen() -> None:
    passed, failed = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
    assert {passed, failed} <= colours(charts.volume(days(100, 100, rate=50.0)))


def test_the_same_days_make_the_same_picture() -> None:
    assert charts.volume(days(1, 2, 3)) == charts.volume(days(1, 2, 3))
    assert charts.volume(days(1, 2, 3)) != charts.volume(days(1, 2, 4))


@pytest.mark.parametrize("name", ["$\\frac{", "$a$", "a $ b", "_a", "\\undefined", "<b>x</b>", "x" * 60])
def test_a_name_is_drawn_as_it_is_written(name: str) -> None:
    assert picture(charts.rates({name: days(5, 5)}, 95)).size == (900, 250)


def test_a_formula_in_a_name_is_none() -> None:
    formula, plain = (charts.rates({name: days(5, 5)}, 95) for name in ("$\\alpha$", "\u03b1"))
    assert formula != plain


def test_of_many_addresses_those_are_drawn_that_send_most() -> None:
    few = {f"192.0.2.{number}": days(100 - number, 9) for number in range(6)}
    assert charts.rates(few | {"192.0.2.99": days(1, 1)}, 95) == charts.rates(few, 95)


def test_days_before_the_first_message_are_left_out() -> None:
    late = [Day(day.day + timedelta(days=9), day.messages, day.pass_percent) for day in days(4, 0, 6)]
    before = days(*[0] * 9)
    assert charts.volume(before + late) == charts.volume(late)
    assert charts.rates({"a": before + late, "b": days(*[0] * 12)}, 95) == charts.rates({"a": late}, 95)
