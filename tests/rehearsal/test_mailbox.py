"""The mailbox block, against a real Dovecot over TLS."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from mailroom import Mailroom

from blocks import mailbox
from blocks.mailbox import Mailbox, OpenMailbox
from deliverability.errors import MailboxAway, MailboxError
from deliverability.estate_tables import Dmarc
from estates import Desk

pytestmark = pytest.mark.rehearsal
USER = "dmarc@performancewest.net"
Answer = TypeVar("Answer")
MAILS = [f"Subject: {number}\n\n{'x' * number}\n".encode() for number in range(5)]


class Door:
    """The mailbox as the estate has it, or with another setting."""

    def __init__(self, desk: Desk) -> None:
        self.room = Mailroom(desk)
        self._desk = desk
        self.keys = desk.estate.state / "keys"

    def settings(self, **others: str) -> Dmarc:
        usual = {"env_file": f"file:{self.keys}/dmarc.env", "authority": f"file:{self.keys}/co.crt"}
        where = {"mailbox": "dmarc@performancewest.net", "imap": "DMARC_IMAP_", "cron": "20 6 * * *"}
        return Dmarc(**(where | usual | others))  # type: ignore[arg-type]

    def enter(self, look: Callable[[OpenMailbox], Answer], **others: str) -> Answer:
        def go() -> Answer:
            with Mailbox.of(self.settings(**others)).open() as box:
                return look(box)

        return self._desk.in_hub(go)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Door:
    return Door(Desk(tmp_path_factory.mktemp("desk")))


@pytest.fixture
def door(opened: Door) -> Door:
    """With the five mails in it, and no other."""
    opened.room.host.run(["doveadm", "expunge", "-u", USER, "mailbox", "INBOX", "all"])
    opened.room.deliver(MAILS)
    return opened


def test_mails_are_read_as_they_came_and_stay_as_they_are(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "SEARCH_STEP", 2)
    monkeypatch.setattr(mailbox, "BATCH_MAILS", 2)

    def look(box: OpenMailbox) -> list[bytes | None]:
        uids = box.uids()
        assert len(uids) == 5
        assert uids == box.unseen() == sorted(uids)
        return [mail.raw for mail in box.fetch(uids, 1_000)]

    assert door.enter(look) == [mail.replace(b"\n", b"\r\n") for mail in MAILS]
    assert door.room.flags() == {"": 5}


def test_a_mail_over_the_limit_is_not_fetched(door: Door) -> None:
    sizes = door.enter(lambda box: [(mail.size, mail.raw is None) for mail in box.fetch(box.uids(), 19)])
    assert sizes == [(16, False), (17, False), (18, False), (19, False), (20, True)]


def test_a_mail_that_somebody_deletes_meanwhile_is_left_out(door: Door) -> None:
    def look(box: OpenMailbox) -> bool:
        uids = box.uids()
        gone = door.room.host.run(["doveadm", "expunge", "-u", USER, "mailbox", "INBOX", "uid", str(uids[2])])
        assert gone.returncode == 0, gone.stderr
        return [mail.uid for mail in box.fetch(uids, 1_000)] == [*uids[:2], *uids[3:]]

    assert door.enter(look)


def test_a_login_that_is_refused_is_not_tried_again(door: Door, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.env"
    wrong.write_text(f"{(door.keys / 'dmarc.env').read_text()}export DMARC_IMAP_PASS='wrong'  \n")
    wrong.chmod(0o600)
    with pytest.raises(MailboxError, match="it refuses the login of dmarc@") as refused:
        door.enter(OpenMailbox.uids, env_file=f"file:{wrong}")
    assert not isinstance(refused.value, MailboxAway)


def test_a_certificate_that_nobody_signed_is_refused(door: Door) -> None:
    with pytest.raises(MailboxError, match="its certificate is not trusted"):
        door.enter(OpenMailbox.uids, authority="")


def test_a_folder_that_is_not_there_is_said(door: Door) -> None:
    with pytest.raises(MailboxError, match=r"the folder Reports cannot be opened: .*Mailbox doesn't exist"):
        door.enter(OpenMailbox.uids, folder="Reports")


def test_a_server_that_does_not_answer_may_later(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "RECONNECTS", 1)
    monkeypatch.setenv("DMARC_IMAP_PORT", "994")
    with pytest.raises(MailboxAway, match=r"dmarc@performancewest.net \(207.174.124.15:994\): .*refused"):
        door.enter(OpenMailbox.uids)


def test_a_password_that_others_may_read_is_refused(door: Door, tmp_path: Path) -> None:
    open_file = tmp_path / "open.env"
    open_file.write_text("DMARC_IMAP_PASS=x\n")
    open_file.chmod(0o644)
    with pytest.raises(MailboxError, match="may be read by others") as refused:
        door.enter(OpenMailbox.uids, env_file=f"file:{open_file}")
    assert refused.value.next_step == f"chmod 600 {open_file}"


def test_a_login_that_is_nowhere_is_named(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DMARC_IMAP_")]:
        monkeypatch.delenv(name)
    with pytest.raises(MailboxError, match="DMARC_IMAP_HOST, DMARC_IMAP_USER, DMARC_IMAP_PASS"):
        door.enter(OpenMailbox.uids, env_file="")
