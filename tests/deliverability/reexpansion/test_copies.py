"""One more address, copied from the stream's own lines: that and nothing else, and only once."""

from pathlib import Path

import pytest

from deliverability.errors import MalformedFile, Refused
from deliverability.network import interfaces
from deliverability.postfix import main_cf, master_cf
from deliverability.reexpansion import copies

HOST = Path(__file__).parents[3] / "rehearsal" / "hosts" / "mta" / "files" / "etc"
MASTER = (HOST / "postfix" / "master.cf").read_text()
MAIN = (HOST / "postfix" / "main.cf").read_text()
INTERFACES = (HOST / "network" / "interfaces").read_text()
WORDS = {"207.174.124.94": "207.174.124.95", "mta05.performancewest.net": "mta06.performancewest.net"}
WORDS |= {"postfix/out05": "postfix/out06"}
GONE = master_cf.without(MASTER, ["out06/unix"])


def test_a_transport_is_copied_with_its_own_address_and_name() -> None:
    after = copies.transport(GONE, "out05", "out06", WORDS)
    made, model = (master_cf.parse(after).effective[f"{name}/unix"] for name in ("out06", "out05"))
    assert made.overrides["smtp_bind_address"] == "207.174.124.95"
    assert made.overrides["smtp_helo_name"] == "mta06.performancewest.net"
    assert set(made.overrides) == set(model.overrides)
    assert master_cf.without(after, ["out06/unix"]) == GONE
    assert copies.transport(after, "out05", "out06", WORDS) == after


@pytest.mark.parametrize(
    ("of", "name", "words", "says"),
    [
        ("out99", "out06", WORDS, "has no transport out99"),
        ("out05", "out07", WORDS, "there is a out07 already, and it is no copy of out05"),
        ("out05", "out06", {"192.0.2.1": "192.0.2.2"}, "out05 does not say 192.0.2.1"),
    ],
)
def test_what_is_no_copy_is_refused(of: str, name: str, words: dict[str, str], says: str) -> None:
    with pytest.raises(Refused, match=says):
        copies.transport(GONE, of, name, words)


def test_the_parameters_of_its_model_come_with_it() -> None:
    after = copies.parameters(MAIN, "out05", "out99")
    assert main_cf.parse(after).value("out99_destination_concurrency_limit") == "4"
    assert len(main_cf.parse(after).parameters) == len(main_cf.parse(MAIN).parameters) + 2
    assert copies.parameters(after, "out05", "out99") == after
    assert copies.parameters(MAIN, "out98", "out99") == MAIN


def test_an_address_is_bound_as_its_model_is() -> None:
    before = interfaces.parse(INTERFACES)
    after = copies.address(INTERFACES, "207.174.124.94", "207.174.124.120")
    added = set(after.splitlines()) - set(INTERFACES.splitlines())
    assert {line.strip() for line in added} == {
        "up ip addr add 207.174.124.120/24 dev eth0 || true",
        "down ip addr del 207.174.124.120/24 dev eth0 || true",
    }
    assert len(interfaces.addresses(interfaces.parse(after))) == len(interfaces.addresses(before)) + 1
    assert copies.address(after, "207.174.124.94", "207.174.124.120") == after


@pytest.mark.parametrize("model", ["207.174.124.99", "207.174.124.71", "192.0.2.1"])
def test_an_address_without_commands_of_its_own_is_no_model(model: str) -> None:
    with pytest.raises(Refused, match="by hand"):
        copies.address(INTERFACES, model, "207.174.124.120")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("#!/bin/bash\nALL=(out05)\n", "#!/bin/bash\nALL=(out05 out06)\n"),
        ("ALL=()", "ALL=(out06)"),
        ("  ALL=( out05  out04 ) # in use\nrest ALL=x\n", "  ALL=(out05 out04 out06) # in use\nrest ALL=x\n"),
    ],
)
def test_the_warm_up_script_gets_one_more(before: str, after: str) -> None:
    assert copies.warmed(before, "out06", "script") == after
    assert copies.warmed(after, "out06", "script") == after


@pytest.mark.parametrize("text", ["", "ALL=(a)\nALL=(b)\n", "ALL=(a\nb)\n", "MALL=(a)\n"])
def test_a_script_that_is_not_understood_is_said(text: str) -> None:
    with pytest.raises(MalformedFile):
        copies.warmed(text, "out06", "script")
