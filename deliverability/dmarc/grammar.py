"""The elements of an aggregate report that are read, and where they may stand; every other one is passed over.

One tree for the classic schema (RFC 7489 appendix C) and dmarc-2.0 (RFC 9990): reporters mix them, with and without
their namespaces.
"""

from collections.abc import Mapping


class Node(dict[str, "Node"]):
    """An element: its children by name, and either the name of its text or of what is to be done at its end."""

    __slots__ = ("at_end", "keep")

    def __init__(self, children: "Mapping[str, Node] | None" = None, *, keep: str = "", at_end: str = "") -> None:
        super().__init__(children or {})
        self.keep = keep
        self.at_end = at_end


def _leaves(prefix: str, *names: str) -> dict[str, Node]:
    return {name: Node(keep=prefix + name) for name in names}


POLICY = ("domain", "p", "sp", "np", "adkim", "aspf", "pct", "fo", "testing", "discovery_method")

FIELDS = (
    "source_ip",
    "count",
    "disposition",
    "aligned_dkim",
    "aligned_spf",
    "header_from",
    "envelope_from",
    "envelope_to",
)
"""What a record has once."""
PARTS = {"dkim": ("domain", "selector", "result"), "spf": ("domain", "scope", "result"), "reason": ("type", "comment")}
"""Of what a record may have several: their fields."""

_DKIM, _SPF, _REASON = (Node(_leaves(f"{part}.", *names), at_end=part) for part, names in PARTS.items())
_EVALUATED = Node(
    {
        "reason": _REASON,
        "disposition": Node(keep="disposition"),
        "dkim": Node(keep="aligned_dkim"),
        "spf": Node(keep="aligned_spf"),
    }
)
_ROW = Node({"policy_evaluated": _EVALUATED, **_leaves("", "source_ip", "count")})
_IDENTIFIERS = Node(_leaves("", "header_from", "envelope_from", "envelope_to"))
_RECORD = Node(
    {
        "row": _ROW,
        "identifiers": _IDENTIFIERS,
        "identities": _IDENTIFIERS,
        "auth_results": Node({"dkim": _DKIM, "spf": _SPF}),
    },
    at_end="record",
)
_METADATA = Node(
    {
        "date_range": Node(_leaves("", "begin", "end")),
        **_leaves("", "org_name", "email", "report_id", "error", "generator"),
    },
    at_end="metadata",
)
_POLICY = Node(_leaves("policy.", *POLICY), at_end="policy")

FEEDBACK = Node({"report_metadata": _METADATA, "policy_published": _POLICY, "record": _RECORD}, at_end="feedback")
