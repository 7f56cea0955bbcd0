"""Evaluate SPF for one client, as a receiver does: check_host(). Source: RFC 7208, sections 2.6, 4, 5, 6."""

from dataclasses import dataclass
from enum import StrEnum

from deliverability.dns.spf.lookup import Lookup
from deliverability.dns.spf.message import Message
from deliverability.dns.spf.questions import Questions, queryable
from deliverability.dns.spf.terms import Address, Mechanism, Spf, address
from deliverability.errors import LookupFailed, SpfError


class Verdict(StrEnum):
    """The seven results of check_host() (RFC 7208 2.6)."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"


VERDICTS = {"+": Verdict.PASS, "-": Verdict.FAIL, "~": Verdict.SOFTFAIL, "?": Verdict.NEUTRAL}


@dataclass(frozen=True)
class Result:
    """What a receiver concludes.

    `mechanism` is the term that matched, empty for none, and `domain` the name whose record holds it. `lookups` and
    `voids` count what was spent until then, of 10 and 2. `reason` is one sentence for a person, `explanation` what the
    domain tells a rejected sender (exp=; foreign text).
    """

    verdict: Verdict
    domain: str
    mechanism: str = ""
    lookups: int = 0
    voids: int = 0
    reason: str = ""
    explanation: str = ""


@dataclass(frozen=True)
class _Match:
    verdict: Verdict
    domain: str
    record: Spf | None = None
    mechanism: str = ""


def evaluate(
    ip: str, domain: str, lookup: Lookup, *, sender: str = "", helo: str = "", receiver: str = "unknown", at: int = 0
) -> Result:
    """What a receiver concludes about mail from `ip` in the name of `domain`.

    `sender` is the MAIL FROM address, empty for a bounce and for a check of the HELO name; it and `helo` matter to
    macros only, `receiver` (a host name) and `at` (seconds since 1970) to explanations only. ValueError if `ip` is no
    address; whatever the records hold ends in a verdict.
    """
    questions = Questions(lookup)
    message = Message(address(ip), sender, helo or domain, receiver, at)
    check = _Check(message, questions)
    try:
        match = check.host(domain.lower().removesuffix("."))
    except (SpfError, LookupFailed) as error:
        verdict = Verdict.PERMERROR if isinstance(error, SpfError) else Verdict.TEMPERROR
        return Result(verdict, check.domain, "", questions.lookups, questions.voids, error.fact)
    return Result(
        match.verdict,
        match.domain,
        match.mechanism,
        questions.lookups,
        questions.voids,
        _reason(match, message.client),
        _explanation(match, message, Questions(lookup)) if match.verdict is Verdict.FAIL else "",
    )


class _Check:
    def __init__(self, message: Message, questions: Questions) -> None:
        self._message = message
        self._questions = questions
        self.domain = ""

    def host(self, domain: str) -> _Match:
        """check_host(): recursion ends at the limit of lookups, since each level costs one."""
        self.domain = domain
        # A domain of one label is no mail domain (RFC 7208 4.3).
        record = self._questions.record(domain) if "." in domain else None
        if record is None:
            return _Match(Verdict.NONE, domain)
        for mechanism in record.mechanisms:
            if self._matches(mechanism, domain):
                return _Match(VERDICTS[mechanism.qualifier], domain, record, str(mechanism))
        if record.redirect is None:
            return _Match(Verdict.NEUTRAL, domain, record)
        return self._other(f"redirect={record.redirect}", record.redirect, domain)

    def _other(self, term: str, spec: str, domain: str) -> _Match:
        self._questions.count(term)
        target = self._target(spec, domain)
        match = self.host(target)
        if match.verdict is Verdict.NONE:
            # RFC 7208 5.2 and 6.1: for a record that is referred to, "none" is a mistake of the one who refers.
            fact = f"{term} of {domain} leads to {target[:253]!r}, which publishes no SPF record"
            raise SpfError(fact, next_step=f"remove {term}, or publish the record it needs")
        self.domain = domain if term.startswith("include") else self.domain
        return match

    def _matches(self, term: Mechanism, domain: str) -> bool:
        client = self._message.client
        if term.name == "all":
            return True
        if term.name in ("ip4", "ip6"):
            network = term.network
            return client.version == network.version and client in network
        if term.name == "include":
            return self._other(str(term), term.value or "", domain).verdict is Verdict.PASS
        self._questions.count(f"{term} of {domain}")
        name = self._target(term.value, domain) if term.value else domain
        if term.name == "exists":
            # A records, whatever the client's family (RFC 7208 5.7).
            return bool(self._questions.ask(name, "A"))
        if term.name == "ptr":
            names = self._questions.validated_names(client)
            return any(f".{found}".endswith(f".{name}") for found in names)
        return self._is_host(term, name, client)

    def _is_host(self, term: Mechanism, name: str, client: Address) -> bool:
        hosts = self._questions.exchanges(name) if term.name == "mx" else (name,)
        return any(
            client in term.around(found) for host in hosts for found in self._questions.addresses(host, client.version)
        )

    def _target(self, spec: str, domain: str) -> str:
        return self._message.target(spec, domain, self._questions)


def _explanation(match: _Match, message: Message, questions: Questions) -> str:
    spec = match.record.explanation if match.record else None
    return message.explanation(spec, match.domain, questions) if spec else ""


def _reason(match: _Match, client: Address) -> str:
    if match.mechanism:
        return f"{client} matches {match.mechanism} of {match.domain}"
    if match.record:
        return f"{client} matches nothing in the record of {match.domain}, and that ends without all"
    why = "publishes no SPF record" if queryable(match.domain) and "." in match.domain else "is no mail domain"
    return f"{match.domain[:253]!r} {why}"
