"""The message of which SPF is asked, as the macros see it. Source: RFC 7208, sections 2.4, 6.2, 7.2 to 7.4."""

from dataclasses import dataclass

from deliverability.dns.spf.macros import EXPLAINING, expand, is_macro_string, shortened
from deliverability.dns.spf.questions import Questions
from deliverability.dns.spf.terms import Address
from deliverability.errors import LookupFailed, SpfError

MAX_EXPLANATION = 1000
"""Most characters of an explanation: it is foreign text, and is quoted to people."""


@dataclass(frozen=True)
class Message:
    """One connection: the client's address, MAIL FROM (empty for none), HELO, who receives (a host name), when."""

    client: Address
    sender: str
    helo: str
    receiver: str
    at: int

    def target(self, spec: str, domain: str, questions: Questions) -> str:
        """The name that a domain-spec of the record of `domain` stands for."""
        return shortened(self._expanded(spec, domain, questions)).lower()

    def explanation(self, spec: str, domain: str, questions: Questions) -> str:
        """The text at the domain of exp=, expanded; empty where anything is wrong with it (RFC 7208 6.2).

        It never changes the verdict and counts against no limit, so `questions` are not those of the evaluation.
        """
        try:
            texts = questions.ask(self.target(spec, domain, questions), "TXT")
            usable = len(texts) == 1 and texts[0].isascii() and texts[0].isprintable()
            if not usable or not is_macro_string(texts[0], EXPLAINING):
                return ""
            return self._expanded(texts[0], domain, questions)[:MAX_EXPLANATION]
        except (SpfError, LookupFailed):
            return ""

    def _expanded(self, text: str, domain: str, questions: Questions) -> str:
        return expand(text, lambda letter: self._value(letter, domain, questions))

    def _value(self, letter: str, domain: str, questions: Questions) -> str:
        local, _, of = (self.sender or f"@{self.helo}").rpartition("@")
        # A sender without a local part, as of a bounce, counts as postmaster (RFC 7208 4.3).
        local = local or "postmaster"
        values = {
            "s": f"{local}@{of}",
            "l": local,
            "o": of,
            "d": domain,
            "i": _dotted(self.client),
            "v": "in-addr" if self.client.version == 4 else "ip6",
            "h": self.helo,
            "c": str(self.client),
            "r": self.receiver,
            "t": str(self.at),
        }
        return values[letter] if letter != "p" else self._validated_name(domain, questions)

    def _validated_name(self, domain: str, questions: Questions) -> str:
        """The name of the client, one within `domain` before any other; "unknown" for none (RFC 7208 7.3)."""
        names = questions.validated_names(self.client)
        inside = [name for name in names if name.endswith(f".{domain}")]
        return next(iter([domain] if domain in names else inside or names), "unknown")


def _dotted(client: Address) -> str:
    return str(client) if client.version == 4 else ".".join(client.exploded.replace(":", ""))
