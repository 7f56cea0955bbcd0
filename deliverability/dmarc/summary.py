"""The figures of a DMARC report: who sent in our name, how much, and what came of it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pandas as pd

from deliverability.dmarc.traffic import Kind, Line

_SUMS = ["count", "passed", "dkim", "spf"]
_COLUMNS = ["day", "source", "org", "author", "disposition", *_SUMS]
SOURCES_SHOWN = 40
CHANGES_SHOWN = 20


@dataclass(frozen=True)
class Group:
    """Messages of one stream, address, or domain. Rates are percent of the messages, rounded to a tenth."""

    name: str
    messages: int
    passed: int
    pass_percent: float
    dkim_percent: float
    spf_percent: float
    dispositions: Mapping[str, int]
    kind: str = ""
    signed: tuple[str, ...] = ()
    """DKIM domains of what it sent, the most frequent first: they name a sender better than its host name."""
    pointer: str = ""
    """PTR name, if it was asked for."""


@dataclass(frozen=True)
class Day:
    day: date
    messages: int
    pass_percent: float | None
    """None: no message."""


@dataclass(frozen=True)
class Change:
    """Of a source, from the day before the last one to the last one."""

    source: str
    before: int
    now: int
    failing_before: int
    failing_now: int


@dataclass(frozen=True)
class Summary:
    """All figures of one window."""

    total: Group
    streams: tuple[Group, ...] = ()
    """By stream, then by own address."""
    addresses: tuple[Group, ...] = ()
    authors: tuple[Group, ...] = ()
    """By domain in From."""
    sources: tuple[Group, ...] = ()
    """Other senders, the largest first, as many as are shown."""
    more_sources: int = 0
    reporters: Mapping[str, int] = field(default_factory=dict)
    """Who reports -> messages."""
    days: tuple[Day, ...] = ()
    by_address: Mapping[str, tuple[Day, ...]] = field(default_factory=dict)
    """The same of every own address."""
    changes: tuple[Change, ...] = ()


def summarise(
    lines: Iterable[Line], own: Mapping[str, str], whose: Mapping[str, Kind], first: date, last: date, trend: date
) -> Summary:
    """Figures of the days from `first` to `last`, and a trend that begins at `trend`."""
    all_lines = list(lines)
    window = [line for line in all_lines if first <= line.day <= last]
    frame = _frame(window)
    trends = _frame(line for line in all_lines if trend <= line.day <= last)
    others = frame[~frame["source"].isin(list(own))]
    shown = _groups(others, "source", SOURCES_SHOWN)
    signed = _signed(window, {group.name for group in shown})
    streams = frame.assign(stream=frame["source"].map(own)).dropna(subset=["stream"])
    return Summary(
        total=next(iter(_groups(frame.assign(all="all"), "all")), Group("all", 0, 0, 0, 0, 0, {})),
        streams=tuple(_groups(streams, "stream")),
        addresses=tuple(_groups(frame[frame["source"].isin(list(own))], "source")),
        authors=tuple(_groups(frame, "author", SOURCES_SHOWN)),
        sources=tuple(replace(one, kind=whose[one.name], signed=signed.get(one.name, ())) for one in shown),
        more_sources=others["source"].nunique() - len(shown),
        reporters={group.name: group.messages for group in _groups(frame, "org", SOURCES_SHOWN)},
        days=_days(trends, trend, last),
        by_address={name: _days(trends[trends["source"] == name], trend, last) for name in own},
        changes=tuple(_changes(_frame(all_lines), last)),
    )


def _frame(lines: Iterable[Line]) -> pd.DataFrame:
    rows = [
        (
            line.day,
            line.source,
            line.org,
            line.author or "(none)",
            line.disposition or "(none)",
            line.count,
            line.count * line.passed,
            line.count * line.dkim_aligned,
            line.count * line.spf_aligned,
        )
        for line in lines
    ]
    return pd.DataFrame(rows, columns=_COLUMNS).astype(dict.fromkeys(_SUMS, "int64"))


def _groups(frame: pd.DataFrame, by: str, most: int = 1_000) -> list[Group]:
    """The largest ones first, of equal ones by name."""
    sums = frame.groupby(by)[_SUMS].sum().reset_index().sort_values(["count", by], ascending=[False, True]).head(most)
    parts = frame[frame[by].isin(sums[by])].groupby([by, "disposition"], as_index=False)["count"].sum()
    dispositions: dict[str, dict[str, int]] = {}
    for name, disposition, count in parts.itertuples(index=False):
        dispositions.setdefault(name, {})[disposition] = int(count)
    found = []
    for name, *numbers in sums.itertuples(index=False):
        count, passed, dkim, spf = map(int, numbers)
        rates = [round(100 * one / count, 1) for one in (passed, dkim, spf)]
        found.append(Group(str(name), count, passed, rates[0], rates[1], rates[2], dispositions[name]))
    return found


def _signed(lines: Iterable[Line], of: Collection[str]) -> dict[str, tuple[str, ...]]:
    counts: dict[str, Counter[str]] = {source: Counter() for source in of}
    for line in lines:
        if line.source in counts:
            for domain in {domain for domain, _, result in line.dkim if result == "pass"}:
                counts[line.source][domain] += line.count
    return {source: tuple(domain for domain, _ in found.most_common(3)) for source, found in counts.items()}


def _days(frame: pd.DataFrame, first: date, last: date) -> tuple[Day, ...]:
    total = frame.groupby("day")["count"].sum()
    passed = frame.groupby("day")["passed"].sum()
    found = []
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        messages = int(total.get(day, 0))
        found.append(Day(day, messages, round(100 * int(passed.get(day, 0)) / messages, 1) if messages else None))
    return tuple(found)


def _changes(frame: pd.DataFrame, last: date) -> list[Change]:
    """Sources that came, went, or fail more or less than the day before, if it has any; the largest first."""
    sums = [
        frame[frame["day"] == day].groupby("source")[["count", "passed"]].sum()
        for day in (last - timedelta(days=1), last)
    ]
    if sums[0].empty:
        return []  # all would be new, and nothing would be said by that
    both = sums[0].add_suffix("_before").join(sums[1], how="outer").fillna(0).astype("int64")
    both["failing_before"] = both["count_before"] - both["passed_before"]
    both["failing"] = both["count"] - both["passed"]
    changed = both[(both["count_before"] == 0) | (both["count"] == 0) | (both["failing_before"] != both["failing"])]
    order = (
        (changed["count_before"] + changed["count"]).sort_values(ascending=False, kind="stable").index[:CHANGES_SHOWN]
    )
    return [
        Change(str(name), int(one["count_before"]), int(one["count"]), int(one["failing_before"]), int(one["failing"]))
        for name, one in changed.loc[order].iterrows()
    ]
