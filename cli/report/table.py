"""The analytics as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from onboarding.domain.analytics import Analytics, Funnel

# The stages of the funnel, and what people call them.
STAGES = {
    "registered": "registered",
    "validated": "validated",
    "account_created": "account",
    "email_sent": "e-mail",
    "onboarded": "onboarded",
    "rejected": "rejected",
    "suspected": "suspected",
}


def show(analytics: Analytics, console: Console) -> None:
    """Print the table, and a line for each reason why customers were rejected, or something failed."""
    console.print(funnel_table(analytics))
    for line in reasons(analytics.total):
        console.print(line)


def funnel_table(analytics: Analytics) -> Table:
    """A line for each day on which somebody registered, and one for all of them."""
    title = f"Onboarding from {analytics.first} to {analytics.last} (UTC)"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("day", no_wrap=True)
    for title in (*STAGES.values(), "median", "p95"):
        table.add_column(title, justify="right", no_wrap=True)
    for day in analytics.days:
        if day.registered:
            table.add_row(str(day.day), *_cells(day))
    table.add_row("all", *_cells(analytics.total))
    return table


def reasons(funnel: Funnel) -> Iterator[str]:
    """A line for each reason why customers were rejected, or something failed."""
    for what, counts in (("rejected", funnel.rejection_reasons), ("failed", funnel.failure_reasons)):
        yield from (f"{what}: {reason} x {count}" for reason, count in counts.items())


def _cells(funnel: Funnel) -> Iterator[str]:
    yield from (str(getattr(funnel, stage)) for stage in STAGES)
    times = funnel.time_to_onboard
    yield from (f"{times.median:.1f} s", f"{times.p95:.1f} s") if times else ("", "")
