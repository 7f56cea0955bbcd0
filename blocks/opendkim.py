"""OpenDKIM on the sending host: its tables, its keys, what a name server says of a key, and a reload that is checked.

A reload with a bad table stops nothing and says nothing: from then on OpenDKIM tempfails all mail it should sign, and
milter_default_action does not help, because it did answer (4.7.1). So the tables are proved before it. The keys that
they name are read anew for every message: one that others may read, or that is gone, stops mail with no reload at all.
"""

import shlex
import time
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import PurePosixPath

from blocks.probe import log_since, log_size
from blocks.ssh_session import Reader, Result, Writer
from deliverability.dkim import record, signing, tables
from deliverability.dkim.signing import CONF, SERVICE, Signing, Table
from deliverability.errors import Conflict, HostError, Refused
from deliverability.finding import Finding, Verdict

OWNER = "opendkim"
MODE = "600"
RELOAD_SECONDS = 10.0
POLL_SECONDS = 0.2

_TESTKEY = {
    "key OK": Verdict.OK,
    "keys do not match": Verdict.FAIL,
    "record not found": Verdict.FAIL,
    "Revoked key": Verdict.FAIL,
    "No such file": Verdict.FAIL,
}
"""What opendkim-testkey says at the end of a check that it could make. Its exit code 69 is for two kinds."""


def read(host: Reader, conf: str = CONF) -> Signing:
    """The tables that opendkim.conf names, and whether OpenDKIM has read them. Raises HostError, MalformedFile."""
    places = signing.places(host.run("cat", "--", conf).stdout, conf)
    paths = [place.path for place in places]
    *texts, changed, unit = host.run_all(
        *(("cat", "--", path) for path in paths),
        ("stat", "-L", "-c", "%.6Z", "--", conf, *paths),
        ("systemctl", "show", "-p", "StateChangeTimestamp", "--timestamp=us+utc", "--", SERVICE),
    )
    for result in (*texts, changed, unit):
        if result.exit_code != 0:
            raise HostError(f"{host.name}: {shlex.join(result.argv)}: {result.stderr.strip()[-300:]}")
    key_table, signing_table = (
        Table(path=place.path, patterns=place.patterns, text=text.stdout)
        for place, text in zip(places, texts, strict=True)
    )
    loaded = _told(unit.stdout) >= max(map(float, changed.stdout.split()))
    return Signing(host=host.name, key_table=key_table, signing_table=signing_table, loaded=loaded)


def make_key(host: Writer, domain: str, selector: str, bits: int = record.BITS) -> str:
    """Make a domain's key if there is none; what was done, in words.

    opendkim-genkey overwrites a key that signs live mail without asking. So it writes beside, and the new key gets its
    name by a link, which fails where that name is taken. Raises Conflict, HostError.
    """
    path = signing.key_path(domain, selector)
    if _is_there(host, path):
        return _proved(host, path, "was there already")
    _make(host, path, domain, selector, bits)
    return _proved(host, path, f"made, {bits} bits")


def known_key(host: Reader, path: str) -> str | None:
    """The TXT record of a private key, None if it is not made yet. Raises Conflict, HostError."""
    return published_record(host, path) if _is_there(host, path) else None


def published_record(host: Reader, path: str) -> str:
    """The TXT record of a private key, from the key itself: a .txt beside it may be another's. Raises HostError."""
    shown = host.run("openssl", "pkey", "-pubout", "-in", path, check=False)
    if shown.exit_code != 0:
        raise HostError(f"{host.name}: {path} is no private key: {shown.stderr.strip()[:200]}")
    return record.from_public_key(shown.stdout, path)


def check_key(host: Reader, domain: str, selector: str, path: str, server: str) -> Finding:
    """Whether the name server at `server` (an address) publishes the record of this private key."""
    name = f"{selector}._domainkey.{domain}"
    argv = ("opendkim-testkey", "-d", domain, "-s", selector, "-k", path, "-x", "/dev/stdin", "-vvv")
    done = host.run(*argv, check=False, stdin=f"Nameservers {ip_address(server)}\n".encode())
    said = [line.removeprefix("opendkim-testkey: ") for line in f"{done.stderr}\n{done.stdout}".splitlines() if line]
    verdict, words = _judged(done, said)
    if verdict is Verdict.OK and any("unsafe permissions" in line for line in said):
        verdict, words = Verdict.WARNING, f"{words}, and others may read {path}"
    return Finding(
        check=f"DKIM key {name}",
        verdict=verdict,
        expected="key OK",
        observed=words,
        where=server,
        fix="" if verdict is Verdict.OK else f"publish the record of {path} at {name}, and only that one",
    )


def problems(host: Writer, now: Signing) -> tuple[str, ...]:
    """Why OpenDKIM would tempfail mail if it read these tables, a sentence each. Raises MalformedFile, HostError."""
    found = now.tables()
    paths = sorted({key.path for key in found.keys if key.path.startswith("/")})
    parsed, *loads = host.run_all(
        ("opendkim", "-n", "-x", CONF),
        # As the user that reads them after a reload; root could read any.
        *(("runuser", "-u", OWNER, "--", "openssl", "pkey", "-noout", "-in", path) for path in paths),
    )
    wrong = [] if parsed.exit_code == 0 else [f"{CONF}: {parsed.stderr.strip()[:200]}"]
    for path, load in zip(paths, loads, strict=True):
        if load.exit_code != 0:
            wrong.append(f"{path} cannot be loaded by {OWNER}: {load.stderr.strip().splitlines()[0][:200]}")
    return (*tables.problems(found), *wrong, *_unsafe(host, paths))


def reload(host: Writer, mail_log: str, port: int = 25) -> str:
    """Reload, once the tables are proved, and see that they were read; what was done, in words.

    OpenDKIM reads them at the next connection of Postfix, and logs it then; a session without a message is one.
    Raises Refused, with its reasons, while a reload would stop mail; HostError when it was not seen.
    """
    if reasons := problems(host, read(host)):
        raise Refused(
            f"{host.name}: {SERVICE} is not reloaded, mail would be refused for now (4.7.1)",
            reasons,
            next_step="settle these; until then OpenDKIM runs on what it has read",
        )
    offset = log_size(host, mail_log)
    host.run("systemctl", "reload", "--", SERVICE)
    with host.smtp("127.0.0.1", port) as session:
        session.ehlo()
        session.quit()
    give_up = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < give_up:
        lines = [line for line in log_since(host, mail_log, offset) if "opendkim[" in line]
        if any("configuration reloaded from" in line for line in lines):
            return "tables proved, reloaded"
        time.sleep(POLL_SECONDS)
    said = "; ".join(lines)[-300:] or "nothing"
    raise HostError(f"{host.name}: {SERVICE} did not say that it reloaded, but: {said}", next_step=f"tail {mail_log}")


def _make(host: Writer, path: str, domain: str, selector: str, bits: int) -> None:
    folder = str(PurePosixPath(path).parent)
    if not _exists(host, folder):
        host.run("install", "-d", "-o", OWNER, "-g", OWNER, "-m", "700", "--", folder)
    aside = host.run("mktemp", "-d", "-p", folder, ".new-XXXXXXXX").stdout.strip()
    try:
        named = (f"--domain={domain}", f"--selector={selector}", f"--directory={aside}")
        host.run("opendkim-genkey", f"--bits={bits}", *named)
        pair = (f"{aside}/{selector}.private", f"{aside}/{selector}.txt")
        host.run("chown", f"{OWNER}:{OWNER}", "--", *pair)
        host.run("chmod", MODE, "--", *pair)
        host.run("sync", "--", *pair)
        for made, name in zip(pair, (path, f"{path.removesuffix('private')}txt"), strict=True):
            if host.run("ln", "--", made, name, check=False).exit_code != 0:
                raise Conflict(
                    f"{host.name}: {name} came to be meanwhile; it is left alone", next_step="run this again"
                )
    finally:
        host.run("rm", "-rf", "--", aside)


def _proved(host: Writer, path: str, words: str) -> str:
    shown = host.run("stat", "-L", "-c", "%U %a", "--", path).stdout.strip()
    if shown != f"{OWNER} {MODE}":
        raise HostError(
            f"{host.name}: {path} has owner and mode {shown}, not {OWNER} {MODE}",
            next_step=f"if nobody else could read it: chown {OWNER}: {path} && chmod {MODE} {path}; else make another",
        )
    return words


def _is_there(host: Reader, path: str) -> bool:
    public = f"{path.removesuffix('private')}txt"
    there = _exists(host, path)
    if not there and _exists(host, public):
        raise Conflict(f"{host.name}: {public} is there, its private key is not", next_step="find out who moved it")
    return there


def _exists(host: Reader, path: str) -> bool:
    return host.run("stat", "-L", "-c", "%n", "--", path, check=False).exit_code == 0


def _unsafe(host: Reader, paths: list[str]) -> list[str]:
    """RequireSafeKeys: a key that others may read is not loaded."""
    shown = host.run("stat", "-L", "-c", "%a\t%G\t%n", "--", *paths, check=False).stdout if paths else ""
    facts = [line.split("\t", 2) for line in shown.splitlines()]
    return [
        f"{path} may be read or written by others (mode {mode}, group {group})"
        for mode, group, path in facts
        if int(mode, 8) & 0o007 or (int(mode, 8) & 0o070 and group not in ("root", OWNER))
    ]


def _judged(done: Result, said: list[str]) -> tuple[Verdict, str]:
    for words, verdict in _TESTKEY.items():
        for line in said:
            if words in line:
                return verdict, line[:200]
    # A time-out, SERVFAIL or a usage error: the key was not looked at.
    return Verdict.UNKNOWN, f"exit {done.exit_code}: {said[-1][:200] if said else 'no word'}"


def _told(shown: str) -> float:
    """When systemd last started or reloaded the unit: "...=Wed 2026-06-24 09:00:00.123456 UTC", and 0 for nothing."""
    words = shown.strip().partition("=")[2].split()
    return datetime.fromisoformat(" ".join(words[1:3])).replace(tzinfo=UTC).timestamp() if len(words) > 3 else 0.0
