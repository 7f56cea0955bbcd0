"""SPF as a domain object: read, write, evaluate, survey, trim, merge, compare. Source: RFC 7208.

Nothing here asks DNS: a `Lookup` that the caller gives answers for it.
"""

from deliverability.dns.spf.checks import problems
from deliverability.dns.spf.compare import Difference, diff, merged
from deliverability.dns.spf.evaluation import Result, Verdict, evaluate
from deliverability.dns.spf.grammar import is_spf, parse, select
from deliverability.dns.spf.lookup import Lookup, as_if, offline, remembered
from deliverability.dns.spf.rendering import ANSWER_BYTES, STRING_BYTES, answer_bytes, lost_spaces, render, strings
from deliverability.dns.spf.surveying import Survey, authorised, lookups, survey
from deliverability.dns.spf.terms import (
    MAX_LENGTH,
    MAX_LOOKUPS,
    MAX_VOIDS,
    Mechanism,
    Modifier,
    Network,
    Spf,
    names,
    networks,
)
from deliverability.dns.spf.trim import trimmed
from deliverability.errors import SpfError

__all__ = [
    "ANSWER_BYTES",
    "MAX_LENGTH",
    "MAX_LOOKUPS",
    "MAX_VOIDS",
    "STRING_BYTES",
    "Difference",
    "Lookup",
    "Mechanism",
    "Modifier",
    "Network",
    "Result",
    "Spf",
    "SpfError",
    "Survey",
    "Verdict",
    "answer_bytes",
    "as_if",
    "authorised",
    "diff",
    "evaluate",
    "is_spf",
    "lookups",
    "lost_spaces",
    "merged",
    "names",
    "networks",
    "offline",
    "parse",
    "problems",
    "remembered",
    "render",
    "select",
    "strings",
    "survey",
    "trimmed",
]
