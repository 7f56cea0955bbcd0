"""Charts as PNG in a data address: an image is the one form that both of Prefect's UIs show, and that runs nothing."""

import base64
import io
from collections.abc import Mapping, Sequence
from datetime import date
from math import ceil

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from deliverability.dmarc.summary import Day

_SIZE = (9.0, 2.5)
_DPI = 100
_PASS, _FAIL = "#0072b2", "#d55e00"
"""Blue and vermilion: who cannot tell red from green can tell these."""
_LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Own addresses in one chart: more could not be told apart."""
_TICKS = 10


def volume(days: Sequence[Day]) -> str:
    """Messages a day, and how many of them pass; from the first day that has any."""
    days = days[_first(days) :]
    figure, axes = _empty("Messages a day", days)
    names = _numbers(days)
    passed = [day.messages * (day.pass_percent or 0) / 100 for day in days]
    failed = [day.messages - good for day, good in zip(days, passed, strict=True)]
    axes.bar(names, passed, color=_PASS, label="pass")
    axes.bar(names, failed, bottom=passed, color=_FAIL, label="fail")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return _image(figure, axes)


def rates(by_address: Mapping[str, Sequence[Day]], limit: float) -> str:
    """The pass rate of the own addresses that send most, and the limit under which a person is told."""
    first = min(map(_first, by_address.values()), default=0)
    days = next(iter(by_address.values()), ())[first:]
    figure, axes = _empty("Percent that pass, by own address", days)
    sent = {address: sum(day.messages for day in found) for address, found in by_address.items()}
    most = sorted((address for address in sent if sent[address]), key=lambda address: -sent[address])
    lowest = limit
    for address, colour in zip(most, _LINES, strict=False):
        seen = [(day, day.pass_percent) for day in by_address[address] if day.pass_percent is not None]
        lowest = min([lowest, *(rate for _, rate in seen)])
        label = address.replace("$", r"\$")  # between two of them matplotlib sees a formula
        axes.plot(
            _numbers([day for day, _ in seen]), [rate for _, rate in seen], marker="o", ms=3, c=colour, label=label
        )
    axes.axhline(limit, color="#777777", linewidth=1, linestyle="--", label=f"told below {limit:g} %")
    axes.set_ylim(max(0.0, lowest - 5), 101)
    return _image(figure, axes)


def _first(days: Sequence[Day]) -> int:
    return next((number for number, day in enumerate(days) if day.messages), len(days))


def _empty(title: str, days: Sequence[Day]) -> tuple[Figure, Axes]:
    """Axes of whole days, the last of which has a tick."""
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize="medium", loc="left")
    axes.tick_params(labelsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    step = ceil(len(days) / _TICKS) or 1
    ticks = days[::-1][::step]
    axes.set_xticks(_numbers(ticks), [f"{day.day.day} {day.day:%b}" for day in ticks])
    if days:
        first, last = _numbers([days[0], days[-1]])
        room = max(0.6, (7 - len(days)) / 2)  # lest a single day be a bar as wide as the chart
        axes.set_xlim(first - room, last + room)
    return figure, axes


def _numbers(days: Sequence[Day]) -> list[float]:
    """Days since 1970."""
    return [float((day.day - date(1970, 1, 1)).days) for day in days]


def _image(figure: Figure, axes: Axes) -> str:
    axes.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0)
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
