"""Keys, tables and reload of a real OpenDKIM: no key is ever overwritten, and no reload stops mail."""

from collections.abc import Iterator

import pytest
from estate_probes import inject, until
from listmonks import observing, operating

import estates
from blocks import opendkim
from blocks.ssh_session import Writer
from deliverability.dkim import record, signing
from deliverability.errors import Conflict, HostError, MalformedFile, ReadOnlyViolation, Refused
from deliverability.finding import Verdict
from deliverability.plan import EditFile, ReloadService
from rehearsal import Estate

pytestmark = pytest.mark.rehearsal

DOMAIN, SELECTOR = "send.performancewest.net", "send"
ROOT, MASTER, NOBODY = "performancewest.net", "207.174.124.22", "207.174.124.72"
KEY = f"/etc/opendkim/keys/{DOMAIN}/{SELECTOR}.private"
MAIL_LOG = "/var/log/mail.log"
TABLES = ("/etc/opendkim/KeyTable", "/etc/opendkim/SigningTable")


@pytest.fixture(scope="module")
def estate() -> Estate:
    """The session's, with an mta as new."""
    made = estates.estate()
    made.reset()
    return made


@pytest.fixture
def writer(estate: Estate) -> Iterator[Writer]:
    with operating(estate) as writer:
        yield writer


@pytest.fixture(autouse=True)
def kept(estate: Estate) -> Iterator[None]:
    """Tables and keys as they were, whatever a test did."""
    sh(estate, "rm -rf /root/dkim && cp -a /etc/opendkim /root/dkim && cp -a /etc/opendkim.conf /root/dkim/conf")
    yield
    sh(
        estate,
        "rm -rf /etc/opendkim/* && cp -a /root/dkim/. /etc/opendkim/ && mv /etc/opendkim/conf /etc/opendkim.conf",
    )
    sh(estate, "systemctl reload opendkim")  # a restart takes seconds


def sh(estate: Estate, command: str) -> str:
    done = estate.host("mta").run(["sh", "-ec", command])
    assert done.returncode == 0, done.stderr
    return done.stdout


def facts(estate: Estate) -> str:
    return sh(estate, "find /etc/opendkim -printf '%p %m %u:%g %T@ %C@\\n' | sort; cat /etc/opendkim/keys/*/*")


# keys


def test_a_key_is_made_for_opendkim_alone_and_its_record_is_the_one_of_its_private_part(
    estate: Estate, writer: Writer
) -> None:
    path = signing.key_path(ROOT, "bulk2026")
    assert opendkim.make_key(writer, ROOT, "bulk2026") == "made, 2048 bits"
    folder = path.rpartition("/")[0]
    assert sh(estate, f"stat -c '%U:%G %a' {folder} {path}").split("\n")[:2] == [
        *("opendkim:opendkim 700", "opendkim:opendkim 600")
    ]
    assert sh(estate, f"ls -A {folder}").split() == ["bulk2026.private", "bulk2026.txt"]
    value = opendkim.published_record(writer, path)
    text = sh(estate, f"cat {folder}/bulk2026.txt")
    assert value == record.from_genkey(text, "bulk2026.txt")
    assert (len(value), record.bits(value), record.problems(value)) == (420, 2048, ())


def test_a_key_that_is_there_is_never_overwritten(estate: Estate, writer: Writer) -> None:
    before = facts(estate)
    assert opendkim.make_key(writer, DOMAIN, SELECTOR) == "was there already"
    assert facts(estate) == before


def test_a_key_that_comes_to_be_meanwhile_is_not_overwritten(
    estate: Estate, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sh(estate, f"sha256sum {KEY}")
    monkeypatch.setattr(opendkim, "_exists", lambda _, path: path.endswith(DOMAIN))
    with pytest.raises(Conflict, match="came to be meanwhile; it is left alone"):
        opendkim.make_key(writer, DOMAIN, SELECTOR)
    assert sh(estate, f"sha256sum {KEY}") == before
    assert sh(estate, f"ls -A /etc/opendkim/keys/{DOMAIN}").split() == ["send.private", "send.txt"]


def test_half_a_pair_is_a_conflict(estate: Estate, writer: Writer) -> None:
    sh(estate, f"rm {KEY}")
    with pytest.raises(Conflict, match=r"send\.txt is there, its private key is not"):
        opendkim.make_key(writer, DOMAIN, SELECTOR)


@pytest.mark.parametrize("change", ["chmod 644", "chmod 640", "chown root"])
def test_a_key_that_others_may_read_is_said(estate: Estate, writer: Writer, change: str) -> None:
    sh(estate, f"{change} {KEY}")
    with pytest.raises(HostError, match="not opendkim 600"):
        opendkim.make_key(writer, DOMAIN, SELECTOR)


@pytest.mark.parametrize("name", ["../../root", "a b", "-x", "", "x;reboot", "a\nb", "x" * 64, "ü"])
def test_a_name_that_would_be_a_path_or_an_option_is_refused(estate: Estate, writer: Writer, name: str) -> None:
    before = facts(estate)
    for pair in ((name, SELECTOR), (ROOT, name)):
        with pytest.raises(Refused, match="is no name of a domain or selector"):
            opendkim.make_key(writer, *pair)
    assert facts(estate) == before


# what a name server says


def test_a_published_key_is_ok_where_it_was_asked(estate: Estate) -> None:
    with observing(estate) as reader:
        for server in (MASTER, "8.8.8.8"):
            found = opendkim.check_key(reader, DOMAIN, SELECTOR, KEY, server)
            assert (found.verdict, found.observed, found.where) == (Verdict.OK, "key OK", server)


def test_what_is_not_the_key_fails_and_what_does_not_answer_is_unknown(estate: Estate, writer: Writer) -> None:
    opendkim.make_key(writer, ROOT, "other")
    other = signing.key_path(ROOT, "other")

    def check(domain: str, path: str, server: str = MASTER) -> tuple[Verdict, str]:
        found = opendkim.check_key(writer, domain, SELECTOR, path, server)
        return found.verdict, found.observed

    assert check(DOMAIN, other) == (Verdict.FAIL, "keys do not match")
    assert check(ROOT, KEY) == (Verdict.FAIL, f"'send._domainkey.{ROOT}' record not found")
    verdict, said = check(DOMAIN, KEY, NOBODY)
    assert verdict is Verdict.UNKNOWN
    assert "query" in said
    assert check(DOMAIN, "/nowhere")[0] is Verdict.FAIL


def test_a_published_key_that_others_may_read_is_a_warning(estate: Estate, writer: Writer) -> None:
    sh(estate, f"chmod 644 {KEY}")
    found = opendkim.check_key(writer, DOMAIN, SELECTOR, KEY, MASTER)
    assert (found.verdict, "others may read" in found.observed) == (Verdict.WARNING, True)


# tables and reload


def apply(writer: Writer, domain: str, selector: str) -> list[str]:
    done = []
    for change in signing.changes(opendkim.read(writer), domain, selector):
        if isinstance(change, EditFile):
            writer.replace_text(change.path, change.before, change.after)
        else:
            assert isinstance(change, ReloadService)
            opendkim.reload(writer, MAIL_LOG)
        done.append(change.target)
    return done


def test_what_is_signed_already_needs_nothing(estate: Estate) -> None:
    with observing(estate) as reader:
        now = opendkim.read(reader)
    assert now.loaded
    assert signing.changes(now, DOMAIN, SELECTOR) == ()


def test_one_more_domain_is_signed_and_a_second_time_nothing_is_done(estate: Estate, writer: Writer) -> None:
    before = sh(estate, f"cat {' '.join(TABLES)}")
    opendkim.make_key(writer, ROOT, "root2026")
    assert apply(writer, ROOT, "root2026") == [*TABLES, "opendkim"]
    assert opendkim.read(writer).loaded
    assert apply(writer, ROOT, "root2026") == []
    assert all(line in sh(estate, f"cat {' '.join(TABLES)}") for line in before.splitlines())
    for sender, signed in ((f"info@{ROOT}", (ROOT, "root2026")), (f"noreply@{DOMAIN}", (DOMAIN, SELECTOR))):
        assert signature(estate, sender) == signed


def signature(estate: Estate, sender: str) -> tuple[str, str]:
    """d= and s= that a message from this sender is signed with, as OpenDKIM logs it."""
    offset = int(sh(estate, f"stat -c %s {MAIL_LOG}"))
    inject(estate.host("mta"), 25, "ops@contoso.com", sender)

    def logged() -> list[str]:
        lines = sh(estate, f"tail -c +{offset + 1} {MAIL_LOG}").splitlines()
        return [line for line in lines if "DKIM-Signature field added" in line]

    found = until(logged, 30)
    assert found, sh(estate, f"tail -n 20 {MAIL_LOG}")
    selector, _, domain = found[0].rpartition("(s=")[2].rstrip(")").partition(", d=")
    return domain, selector


def test_a_run_that_died_before_its_reload_is_seen(estate: Estate, writer: Writer) -> None:
    opendkim.make_key(writer, ROOT, "root2026")
    planned = signing.changes(opendkim.read(writer), ROOT, "root2026")
    for change in planned[:2]:
        assert isinstance(change, EditFile)
        writer.replace_text(change.path, change.before, change.after)
    assert not opendkim.read(writer).loaded
    assert apply(writer, ROOT, "root2026") == ["opendkim"]
    assert opendkim.read(writer).loaded


BAD = {
    "no such key": ("echo '*@performancewest.net nowhere' >>{1}", "no key is named nowhere"),
    "missing file": ("echo 'x performancewest.net:x:/etc/opendkim/keys/x.private' >>{0}", "cannot be loaded"),
    "named twice": ("cat {0} >/tmp/t; cat /tmp/t >>{0}", "keys named"),
    "bad configuration": ("echo 'Mode nonsense' >>/etc/opendkim.conf", "opendkim.conf"),
}
BAD_KEYS = {
    "owned by root": ("chown root:root {2}", "cannot be loaded by opendkim"),
    "readable by all": ("chmod 644 {2}", "may be read or written by others"),
    "no key inside": ("echo no key >{2}", "cannot be loaded by opendkim"),
}


def refused(estate: Estate, writer: Writer, command: str, reason: str) -> None:
    sh(estate, command.format(*TABLES, KEY))
    reloads = "grep -c 'configuration reloaded' /var/log/mail.log || true"
    before = sh(estate, reloads)
    with pytest.raises(Refused, match=r"mail would be refused for now \(4\.7\.1\)") as refusal:
        opendkim.reload(writer, MAIL_LOG)
    assert any(reason in line for line in refusal.value.reasons), refusal.value.reasons
    assert sh(estate, reloads) == before


@pytest.mark.parametrize("what", BAD)
def test_tables_that_would_stop_mail_are_not_loaded(estate: Estate, writer: Writer, what: str) -> None:
    refused(estate, writer, *BAD[what])
    assert signature(estate, f"noreply@{DOMAIN}") == (DOMAIN, SELECTOR), "what runs still signs"


@pytest.mark.parametrize("what", BAD_KEYS)
def test_a_key_that_stops_mail_is_said_and_stops_it_without_a_reload(estate: Estate, writer: Writer, what: str) -> None:
    refused(estate, writer, *BAD_KEYS[what])
    with pytest.raises(AssertionError, match=r"4\.7\.[01]"):
        inject(estate.host("mta"), 25, "ops@contoso.com", f"noreply@{DOMAIN}")


def test_a_line_that_cannot_be_understood_is_said_with_its_number(estate: Estate, writer: Writer) -> None:
    sh(estate, f"echo nonsense >>{TABLES[0]}")
    with pytest.raises(MalformedFile, match=r"KeyTable:2: a key with no value"):
        opendkim.reload(writer, MAIL_LOG)


def test_what_we_refuse_does_stop_mail(estate: Estate) -> None:
    """The reason for all of this: a reload by hand ends with 0, and from then on mail is refused."""
    mta = estate.host("mta")
    sh(estate, f"sed -i 's/^.*$/*@{DOMAIN} nowhere/' {TABLES[1]}; systemctl reload opendkim")
    with pytest.raises(AssertionError, match=r"4\.7\.1"):
        inject(mta, 25, "ops@contoso.com", f"noreply@{DOMAIN}")


def test_a_look_makes_no_key_and_reloads_nothing(estate: Estate) -> None:
    with observing(estate) as reader:
        for argv in (
            ("opendkim-genkey", "-D", "/etc/opendkim"),
            ("openssl", "pkey", "-pubout", "-in", KEY, "-out", "/root/x"),
            ("systemctl", "reload", "--", "opendkim"),
        ):
            with pytest.raises(ReadOnlyViolation):
                reader.run(*argv)
