"""The bill as a picture: each kind of registration, and the first of them done otherwise, by service."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.cost.alternatives import bills
from benchmarks.cost.bill import units
from benchmarks.cost.kinds import KINDS, ONBOARDED
from benchmarks.cost.measurement import Measurement
from benchmarks.cost.prices import MILLION, SERVICES, Units, dollars

COLOURS = ("#0969da", "#8250df", "#bc4c00", "#d4a72c", "#cf222e", "#1a7f37", "#57606a", "#8c959f")


def svg(measurement: Measurement) -> str:
    """The picture as SVG; the same numbers make the same text."""
    with rc_context(
        {"svg.hashsalt": "onboarding", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    ):
        figure = Figure(figsize=(10, 6), layout="constrained")
        kinds, ways = figure.subplots(2, 1, height_ratios=(8, 5), sharex=True)
        figure.suptitle("US dollars for a million registrations, list prices")
        _bars(kinds, {kind.title: units(measurement.of(kind.name), measurement) for kind in KINDS})
        possible = bills(measurement.of(ONBOARDED.name), measurement)
        _bars(ways, {name: each for name, each in possible.items() if each})
        kinds.set_title("As deployed", loc="left")
        ways.set_title(f"The first ({ONBOARDED.title}), done otherwise", loc="left")
        ways.legend(frameon=False, ncols=2, loc="lower right")
        text = StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def _bars(axes: Axes, bars: Mapping[str, Units]) -> None:
    left = [0.0] * len(bars)
    for service, colour in zip(SERVICES, COLOURS, strict=True):
        widths = [dollars(each)[service] * MILLION for each in bars.values()]
        axes.barh(list(bars), widths, left=left, color=colour, label=service)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    for row, amount in enumerate(left):
        axes.annotate(f"{amount:,.0f}", (amount, row), (4, 0), textcoords="offset points", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.spines[["top", "right"]].set_visible(False)
