"""master.cf: what postconf 3.7.11 was seen to do with the same text."""

import pickle

import pytest

from deliverability.errors import MalformedFile
from deliverability.postfix import master_cf

ENTRY = "a unix - - n - - "


def only(text: str) -> master_cf.Service:
    (service,) = master_cf.parse(text).services
    return service


def test_the_eight_fields() -> None:
    service = only("# c\n\n127.0.0.1:2526 inet n - y 60? 10 smtpd -v\n")
    assert service.key == "127.0.0.1:2526/inet"
    assert (service.private, service.unprivileged, service.chroot) == ("n", "-", "y")
    assert (service.wakeup, service.process_limit, service.command) == ("60?", "10", "smtpd")
    assert service.args == ("-v",)
    assert service.line == 3


def test_overrides_in_every_form() -> None:
    service = only(f"{ENTRY}smtp\n  -o x=1 -o {{ smtp_helo_name = a b }} -oz=3 -vo y=4\n# c\n\n  -v -D\n")
    assert service.overrides == {"x": "1", "smtp_helo_name": "a b", "z": "3", "y": "4"}
    assert service.args == ("-v", "-v", "-D")
    assert service.lines == (1, 2, 5)
    assert service.broken_overrides == ()


@pytest.mark.parametrize(
    ("args", "overrides"),
    [
        ("-o mydomain= -o myhostname=a=b", {"mydomain": "", "myhostname": "a=b"}),
        ("-o x=1 -o x=2", {"x": "2"}),
        ("-- -o mydomain=x", {}),
        ("-o mydomain=x flags=D argv=/x -o q=r", {"mydomain": "x"}),
        ("-o { x = { y } }", {"x": "{ y }"}),
    ],
)
def test_what_postconf_lists_as_overrides(args: str, overrides: dict[str, str]) -> None:
    assert only(f"{ENTRY}smtp {args}\n").overrides == overrides


@pytest.mark.parametrize("args", ["-o a = b -o c=d", "-o {myhostname b}", "-o", "-o =x"])
def test_an_override_that_is_none_is_shown_as_broken(args: str) -> None:
    service = only(f"{ENTRY}smtp {args}\n")
    assert service.overrides == {}
    assert len(service.broken_overrides) == 1


def test_pipe_arguments_stay_words() -> None:
    service = only(f"{ENTRY}pipe flags=DRhu user=vmail argv=/bin/x {{a b}} -o ${{recipient}}\n")
    assert service.args == ("flags=DRhu", "user=vmail", "argv=/bin/x", "a b", "-o", "${recipient}")


def test_the_last_of_equal_entries_wins_and_the_type_is_part_of_the_key() -> None:
    parsed = master_cf.parse("a unix - - n - - smtp\na unix - - n - - lmtp\na inet n - n - - lmtp\n")
    assert parsed.duplicates == ("a/unix",)
    assert parsed.effective["a/unix"].command == "lmtp"
    assert len(parsed.services) == 3


def test_an_indented_first_line_is_ignored() -> None:
    assert [s.name for s in master_cf.parse("  orphan unix - - n - - x\n  more\na unix - - n - - smtp\n").services] == [
        "a"
    ]


def test_only_ascii_white_space_separates() -> None:
    assert only(f"{ENTRY}smtp -o x=a\u00a0b\u2028c\n").overrides == {"x": "a\u00a0b\u2028c"}


def test_nothing_at_all() -> None:
    assert master_cf.parse("").services == ()
    assert master_cf.parse("# only\n\n   \n").services == ()


@pytest.mark.parametrize(
    ("text", "line", "fact"),
    [
        ("a unix - - n - -\n", 1, "7 fields in a service entry, 8 needed"),
        ("# c\n\na unix\n", 3, "2 fields in a service entry, 8 needed"),
        ("a unixx - - n - - smtp\n", 1, "type"),
        ("a unix - x n - - smtp\n", 1, "unprivileged"),
        ("a unix - - n 1x - smtp\n", 1, "wakeup"),
        ("a unix - - n - many smtp\n", 1, "process_limit"),
        ("a unix - - n - - smtp\nb unix - - n - - smtp -o { x = y\n", 2, "brace"),
        ("a unix - - n - - smtp -o {x=y}z\n", 1, "brace"),
        ("a unix - - n - - smtp\r\n", 1, "carriage return"),
        ("a unix - - n - - smtp\n  -o x=\0\n", 2, "NUL"),
    ],
)
def test_malformed(text: str, line: int, fact: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        master_cf.parse(text, "/x/master.cf")
    assert caught.value.line == line
    assert f"/x/master.cf:{line}: " in str(caught.value)
    assert fact in str(caught.value)


def test_an_unknown_service_reads_as_a_sentence() -> None:
    with pytest.raises(KeyError) as caught:
        master_cf.without("a unix - - n - - smtp\n", ["b/unix", "c/unix"])
    assert str(caught.value) == "/etc/postfix/master.cf has no service b/unix, c/unix"


def test_hostile_nesting_is_linear() -> None:
    service = only(ENTRY + "smtp " + "{" * 50_000 + "}" * 50_000 + "\n")
    assert len(service.args[0]) == 99_998


def test_a_service_can_be_hashed_and_pickled() -> None:
    service = only(ENTRY + "smtp -o x=y\n")
    assert pickle.loads(pickle.dumps(service)) == service
    assert hash(service)
