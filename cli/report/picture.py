"""The analytics as a chart: the funnel, and each day's times to onboard."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cli.report.table import STAGES
from onboarding.domain.analytics import Analytics

MAIN, ASIDE = "#0969da", "#bc4c00"


def draw(analytics: Analytics, path: Path) -> None:
    """Draw the chart to a .svg or .png file. The same numbers give the same file."""
    with rc_context({"svg.hashsalt": "onboarding", "font.family": "sans-serif", "font.size": 9}):
        figure = Figure(figsize=(10, 4), layout="constrained")
        funnel, times = figure.subplots(1, 2, width_ratios=(1, 1))
        figure.suptitle(f"Onboarding from {analytics.first} to {analytics.last} (UTC)")
        _draw_funnel(funnel, analytics)
        _draw_times(times, analytics)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_funnel(axes: Axes, analytics: Analytics) -> None:
    numbers = [getattr(analytics.total, stage) for stage in STAGES]
    colours = [ASIDE if stage in {"rejected", "expired", "suspected"} else MAIN for stage in STAGES]
    bars = axes.barh(list(STAGES.values()), numbers, color=colours)
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.set_title("Customers")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_times(axes: Axes, analytics: Analytics) -> None:
    days = [(f"{day.day:%d %b}", day.time_to_onboard) for day in analytics.days if day.time_to_onboard]
    names = [name for name, _ in days]
    axes.plot(names, [times.p95 for _, times in days], "o-", color=ASIDE, label="95th percentile")
    axes.plot(names, [times.median for _, times in days], "o-", color=MAIN, label="median")
    axes.set_ylim(bottom=0)
    axes.set_title("Seconds to onboard, without the wait for a confirmation")
    axes.tick_params(axis="x", rotation=45 if len(days) > 7 else 0)  # noqa: PLR2004 - more don't fit side by side
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
