"""The bill as tables for the terminal: US dollars for a million registrations."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from benchmarks.cost.alternatives import ALTERNATIVES, bills
from benchmarks.cost.bill import units
from benchmarks.cost.kinds import KINDS
from benchmarks.cost.measurement import Measurement
from benchmarks.cost.prices import MILLION, SERVICES, dollars, total


def tables(measurement: Measurement) -> Iterator[Table]:
    """What each kind costs by service, and beside it what it would cost otherwise."""
    services = _table("US dollars for a million registrations", "transitions", *SERVICES, "all")
    others = _table("The same, done otherwise", *(alternative.name for alternative in ALTERNATIVES))
    for kind in KINDS:
        registration = measurement.of(kind.name)
        billed = units(registration, measurement)
        amounts = [*dollars(billed).values(), total(billed)]
        services.add_row(
            kind.name, str(sum(registration.transitions.values())), *(f"{amount * MILLION:,.2f}" for amount in amounts)
        )
        others.add_row(
            kind.name,
            *(
                "impossible" if each is None else f"{total(each) * MILLION:,.2f}"
                for each in bills(registration, measurement).values()
            ),
        )
    yield services
    yield others


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("registration")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
