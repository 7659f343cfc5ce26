"""The analytics as a table."""

from collections.abc import Iterator

from rich.console import Console

from cli.terminal import listing
from onboarding.domain.analytics import Analytics, Funnel

# The funnel's stages, with their labels.
STAGES = {
    "registered": "registered",
    "validated": "validated",
    "email_confirmed": "confirmed",
    "account_created": "account",
    "email_sent": "e-mail",
    "onboarded": "onboarded",
    "rejected": "rejected",
    "expired": "expired",
    "suspected": "suspected",
}
NUMBERS = (*STAGES.values(), "median", "p95")


def show(analytics: Analytics, console: Console) -> None:
    """Print a line for each day with registrations, one for the total, and one for each reason."""
    title = f"Onboarding from {analytics.first} to {analytics.last} (UTC)"
    rows = [(str(day.day), *_cells(day)) for day in analytics.days if day.registered]
    rows.append(("all", *_cells(analytics.total)))
    console.print(listing("day", *NUMBERS, rows=rows, right=NUMBERS, title=title))
    reasons = {"rejected": analytics.total.rejection_reasons, "failed": analytics.total.failure_reasons}
    for what, counts in reasons.items():
        for reason, count in counts.items():
            console.print(f"{what}: {reason} x {count}")


def _cells(funnel: Funnel) -> Iterator[str]:
    yield from (str(getattr(funnel, stage)) for stage in STAGES)
    times = funnel.time_to_onboard
    yield from (f"{times.median:.1f} s", f"{times.p95:.1f} s") if times else ("", "")
