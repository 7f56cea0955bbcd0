"""What is wrong with the SPF that a name publishes, or is about to publish. Source: RFC 7208 3, 4.6.4, 5.1, 5.5."""

from collections.abc import Iterator, Sequence

from deliverability.dns.spf.grammar import parse, select
from deliverability.dns.spf.lookup import Lookup
from deliverability.dns.spf.rendering import ANSWER_BYTES, answer_bytes
from deliverability.dns.spf.surveying import Survey, survey
from deliverability.dns.spf.terms import MAX_LOOKUPS, MAX_VOIDS, Mechanism, Network, Spf
from deliverability.errors import LookupFailed, SpfError
from deliverability.finding import Finding, Verdict

MAX_ADDRESSES = 2**24
"""IPv4 addresses beyond which a record lets the Internet pass rather than senders: a /8."""


def problems(txt_records: Sequence[str], domain: str, lookup: Lookup) -> tuple[Finding, ...]:
    """The findings against the SPF among all TXT records of `domain`; none if there is nothing to say.

    fail: receivers answer permerror or none, or everyone passes. warning: it works, but not as it should. unknown: a
    question the record leads to has no answer. Source of each in its `fix` or `expected`.
    """
    try:
        text = select(txt_records)
        if text is None:
            return (_fail("SPF record", "one record that begins with v=spf1", "none", domain, "publish one"),)
        record = parse(text)
    except SpfError as error:
        return (_fail("SPF record", "a record that receivers understand", error.fact, domain, error.next_step),)
    return (*_of_the_text(record, tuple(txt_records), domain), *_of_the_answers(record, domain, lookup))


def _of_the_text(record: Spf, txt_records: tuple[str, ...], domain: str) -> Iterator[Finding]:
    size = answer_bytes(domain, txt_records)
    if size > ANSWER_BYTES:
        expected = f"name and TXT records within {ANSWER_BYTES} bytes (RFC 7208 3.4)"
        yield _warning("SPF answer size", expected, f"{size} bytes", domain, "list fewer addresses")
    yield from _of_the_end(record, domain)
    for term in (term for term in record.mechanisms if term.name == "ptr"):
        fix = "name addresses (ip4, ip6) instead"
        yield _warning("SPF ptr", "no ptr: slow, and not to be used (RFC 7208 5.5)", str(term), domain, fix)
    repeated = [str(term) for term in dict.fromkeys(record.terms) if record.terms.count(term) > 1]
    if repeated:
        yield _warning("SPF terms", "each term once", f"repeated: {', '.join(repeated)}", domain, "remove the second")


def _of_the_end(record: Spf, domain: str) -> Iterator[Finding]:
    end = record.all
    if end is None:
        if record.redirect is None:
            yield _warning(
                "SPF all", "an end that says who does not send", "no all", domain, "end the record with -all"
            )
        return
    if end.passes:
        yield _fail("SPF all", "others do not pass", "+all lets everyone pass", domain, "end the record with -all")
    elif end.qualifier == "?":
        yield _warning("SPF all", "-all or ~all", "?all says nothing of others", domain, "end the record with -all")
    behind = _behind(record, end)
    if behind:
        observed = f"never tried: {', '.join(behind)}"
        yield _warning("SPF all", "all as the last term (RFC 7208 5.1)", observed, domain, "move all to the end")


def _behind(record: Spf, end: Mechanism) -> list[str]:
    ineffective = [str(modifier) for modifier in record.modifiers if modifier.name == "redirect"]
    return [str(term) for term in record.mechanisms[record.mechanisms.index(end) + 1 :]] + ineffective


def _of_the_answers(record: Spf, domain: str, lookup: Lookup) -> Iterator[Finding]:
    try:
        found = survey(record, domain, lookup)
    except LookupFailed as error:
        yield Finding(
            check="SPF evaluation",
            verdict=Verdict.UNKNOWN,
            expected="an answer to each question",
            observed=error.fact,
            where=domain,
            fix=error.next_step,
        )
        return
    if found.lookups > MAX_LOOKUPS:
        expected = f"at most {MAX_LOOKUPS} terms that ask DNS (RFC 7208 4.6.4)"
        fix = "name addresses (ip4, ip6) in place of includes and host names"
        yield _fail("SPF lookups", expected, str(found.lookups), domain, fix)
    for fault in found.faults:
        yield _fail("SPF evaluation", "no permerror", fault, domain, "correct or remove this term")
    yield from _of_the_voids(found, domain)
    width = sum(network.num_addresses for network in found.ranges.networks() if network.version == 4)
    if width > MAX_ADDRESSES and not (record.all and record.all.passes):
        expected = f"at most {MAX_ADDRESSES} IPv4 addresses that pass"
        yield _fail("SPF width", expected, str(width), domain, "name only the networks that send")


def _of_the_voids(found: Survey, domain: str) -> Iterator[Finding]:
    """IPv6 clients meet more empty answers, and those matter only where some IPv6 sender is to pass."""
    networks: tuple[Network, ...] = found.ranges.networks()
    matters = {4: True, 6: any(network.version == 6 for network in networks)}
    for version, voids in ((4, found.voids4), (6, found.voids6)):
        gone = ", ".join(dict.fromkeys(voids))
        expected = f"at most {MAX_VOIDS} empty answers for an IPv{version} client (RFC 7208 4.6.4)"
        if len(voids) > MAX_VOIDS:
            judged = _fail if matters[version] else _warning
            yield judged("SPF empty answers", expected, gone, domain, "remove the terms that name these")
        elif voids and version == 4:
            yield _warning("SPF empty answers", "an answer to each question", gone, domain, "remove what is gone")


def _fail(check: str, expected: str, observed: str, where: str, fix: str) -> Finding:
    return Finding(check=check, verdict=Verdict.FAIL, expected=expected, observed=observed, where=where, fix=fix)


def _warning(check: str, expected: str, observed: str, where: str, fix: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WARNING, expected=expected, observed=observed, where=where, fix=fix)
