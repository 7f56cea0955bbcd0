"""One sending address comes back on real hosts: not too early, known to receivers first, and one at a time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from zones import DNS, ZONE, Watcher, listing

from deliverability.dns import spf
from estates import INTERFACES, MASTER_CF, Desk

pytestmark = pytest.mark.rehearsal

ADDRESS, NEXT = "207.174.124.95", "207.174.124.96"
SCRIPT = "/usr/local/sbin/pw-mta-warmup.sh"
MORE = """
[mta]
warmup_script = "/usr/local/sbin/pw-mta-warmup.sh"

[[streams.trucking.more]]
ip = "207.174.124.95"
helo = "mta06.performancewest.net"
transport = "out06"
"""
ONE_MORE = """
[[streams.trucking.more]]
ip = "207.174.124.96"
helo = "mta07.performancewest.net"
transport = "out07"
"""
REFUSED = (
    "2026-06-19T10:00:0{second}.000000+00:00 perfwest postfix/out05/smtp[1234]: 4ABCDEF12{second}: to=<a@gmail.com>, "
    "relay=gmail-smtp-in.l.google.com[142.250.27.26]:25, delay=1, delays=0/0/0/1, dsn=5.7.1, status=bounced (host "
    "gmail-smtp-in.l.google.com[142.250.27.26] said: 550-5.7.1 very low reputation of the sending domain)"
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """The estate after the cleanup, and an estate file by which the trucking stream is to have .95 too."""
    desk = Desk(tmp_path)
    done = desk.run("run", "--unattended")
    assert done.returncode == 0, done.stderr
    desk.procedure = "ip-reexpansion"
    desk.write_estate(MORE)
    yield desk
    desk.estate.reset(*DNS)


def expand(desk: Desk, address: str = ADDRESS, command: str = "run") -> "tuple[int, str]":
    options = ["--unattended"] if command == "run" else []
    done = desk.run(command, "--set", f"address={address}", *options)
    return done.returncode, done.stdout + done.stderr


def spf_of(desk: Desk) -> dict[str, str]:
    return {name: value for name, kind, value in listing(desk) if kind == "TXT" and spf.is_spf(value)}


def test_it_comes_back_known_to_receivers_first_and_then_no_other_one_for_days(desk: Desk) -> None:
    before = (desk.everything(), listing(desk))
    code, said = expand(desk, command="plan")
    assert code == 2, said
    assert "Whoever approves this says in their name" in said
    assert "the last 14 days were good at every receiver" in said
    assert (desk.everything(), listing(desk)) == before

    with Watcher(desk, ZONE, f"send.{ZONE}") as watcher:
        code, said = expand(desk)
    assert code == 0, said
    assert watcher.wrong == []
    assert {name for name, value in spf_of(desk).items() if f"ip4:{ADDRESS} " in value} == {"@", "send"}
    assert ADDRESS in desk.live()
    assert f"ip addr add {ADDRESS}/24" in desk.read(INTERFACES)
    assert "smtp_helo_name=mta06.performancewest.net" in desk.shell("postconf -M out06/unix")
    assert "ALL=(out05 out06)" in desk.read(SCRIPT)
    assert desk.shell(SCRIPT).split() == ["out05", "out06"]
    desk.assert_both_streams_flow()
    record, markdown = desk.report()
    assert {finding["verdict"] for finding in record["findings"]} <= {"ok", "warning", "not applicable"}
    assert "Attested by whoever approved it" in markdown
    desk.mta.restart()
    assert ADDRESS in desk.live(), "after a reboot too"

    code, said = expand(desk)
    assert (code, f"nothing to do: {ADDRESS} is back" in said) == (0, True)
    desk.write_estate(MORE + ONE_MORE)
    code, said = expand(desk, NEXT)
    assert code == 3
    assert f"{ADDRESS} came back at " in said
    assert "the next one not before 7 days after it" in said
    done = desk.run("undo", record["run"], "--unattended")
    assert done.returncode == 3
    assert "runbook run snowshoe-cleanup; runbook run spf-trim" in done.stdout + done.stderr


def test_what_is_too_early_or_unknown_is_refused_with_every_reason(desk: Desk) -> None:
    before = (desk.everything(), listing(desk))
    desk.write_estate(MORE.replace("mta06", "mta07") + ONE_MORE)
    code, said = expand(desk)
    assert code == 3
    assert f"{ADDRESS} is called mta06.performancewest.net in DNS, not mta07.performancewest.net" in said
    assert f"mta07.performancewest.net leads to {NEXT}, not to {ADDRESS}" in said
    assert f"{NEXT} is in `more` too, and is not back yet: one at a time" in said
    code, said = expand(desk, "207.174.124.97")
    assert (code, "no stream is to have 207.174.124.97 more" in said) == (3, True)
    assert (desk.everything(), listing(desk)) == before
    desk.write_estate(MORE)
    desk.shell("\n".join(f"echo '{REFUSED.format(second=second)}' >>/var/log/mail.log" for second in range(3)))
    code, said = expand(desk)
    assert code == 3
    assert "2026-06-19: 3 of 3 messages were refused for reputation" in said


def test_a_transport_that_is_there_and_is_another_is_left_alone(desk: Desk) -> None:
    entry = "out06\tunix\t-\t-\ty\t-\t-\tsmtp\n\t-o smtp_bind_address=192.0.2.1\n"
    desk.write(MASTER_CF, desk.read(MASTER_CF) + entry)
    before = listing(desk)
    code, said = expand(desk)
    assert code == 3
    assert "there is a out06 already, and it is no copy of out05" in said
    assert listing(desk) == before
