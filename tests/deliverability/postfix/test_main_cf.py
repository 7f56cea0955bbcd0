"""main.cf: what postconf 3.7.11 was seen to do with the same text."""

import pytest

from deliverability.errors import MalformedFile
from deliverability.postfix import main_cf


def test_values_are_joined_from_continuations() -> None:
    parsed = main_cf.parse("mydomain = a\n  b\n#x\n\n  c  \nmyhostname=z\nempty =\n")
    assert parsed.value("mydomain").split() == ["a", "b", "c"]
    assert parsed.values["myhostname"] == "z"
    assert parsed.value("empty", "no") == ""
    assert parsed.value("absent", "no") == "no"
    assert parsed.parameters[0].lines == (1, 2, 5)


def test_the_last_setting_wins() -> None:
    parsed = main_cf.parse("a = 1\nb = 2\na = 3\n")
    assert parsed.value("a") == "3"
    assert parsed.duplicates == ("a",)


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nmydomain\n", 2), ("= x\n", 1), ("my domain = x\n", 1), ("a = 1\r\n", 1), ("a = 1\n\nb = \0\n", 3)],
)
def test_malformed(text: str, line: int) -> None:
    with pytest.raises(MalformedFile) as caught:
        main_cf.parse(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        ("$a", "1"),
        ("${a}", "1"),
        ("$(a)", "1"),
        ("x$a.y", "x1.y"),
        ("$b", "11"),
        ("$$a", "$a"),
        ("$unknown ${unknown}", "$unknown ${unknown}"),
        ("${a?yes}", "yes"),
        ("${a:no}", ""),
        ("${empty?yes}", ""),
        ("${empty:no}", "no"),
        ("${a?{yes $a}:{no}}", "yes 1"),
        ("${empty ? {yes} : {no}}", "no"),
        ("${{$a} == {1} ? {x}}", "${{$a} == {1} ? {x}}"),
        ("$default", "d"),
        ("100$", "100$"),
    ],
)
def test_expand(value: str, expanded: str) -> None:
    parsed = main_cf.parse("a = 1\nb = $a${a}\nempty =\n")
    assert parsed.expand(value, {"default": "d", "a": "never"}) == expanded


@pytest.mark.parametrize(
    "text",
    ["a = $b\nb = $a\n", "a = ${a}\n", "a = ${b\nb = 1\n", "a = ${a?{$a}:{x}}\n"],
    ids=["pair", "self", "open", "if"],
)
def test_expansion_that_does_not_end(text: str) -> None:
    parsed = main_cf.parse(text)
    with pytest.raises(MalformedFile):
        parsed.expand(parsed.value("a"))


def test_expansion_that_explodes() -> None:
    doubling = "".join(f"a{n} = $a{n + 1}$a{n + 1}\n" for n in range(19)) + "a19 = xxxxxxxxxx\n"
    with pytest.raises(MalformedFile, match="more than 200000 characters"):
        main_cf.parse(doubling).expand("$a0")


def test_service_parameters_are_of_exactly_one_service() -> None:
    names = [f"{service}{suffix}" for service in ("out1", "out10", "hcout1") for suffix in main_cf.SERVICE_SUFFIXES]
    text = "".join(f"{name} = 1\n" for name in names) + "out1_unknown = 1\nout1 = 1\n"
    assert main_cf.service_parameters(main_cf.parse(text), "out1") == tuple(
        f"out1{s}" for s in main_cf.SERVICE_SUFFIXES
    )
    assert main_cf.service_parameters(main_cf.parse(text), "out") == ()


def test_an_unknown_parameter_reads_as_a_sentence() -> None:
    with pytest.raises(main_cf.UnknownParameter) as caught:
        main_cf.without("a = 1\n", ["b"])
    assert str(caught.value) == "/etc/postfix/main.cf does not set b"
