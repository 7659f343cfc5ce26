"""Counts what each kind of registration makes AWS do, on the emulator, and prices it by the list."""

from __future__ import annotations

import argparse
import sys

from benchmarks.cost.dynamodb import NotKnown
from benchmarks.cost.measure import DidNotGoAsPlanned, measure
from benchmarks.cost.measurement import MEASUREMENT, save
from benchmarks.cost.table import tables
from local import PROJECT, terminal
from local.emulator import EmulatorDidNotStart
from local.sam import SamFailed


def main() -> int:
    """Measure, keep the measurement, and print it; 1 where a registration did not become what it should."""
    parser = argparse.ArgumentParser(prog="make cost", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5, help="registrations of each kind (default: %(default)s)")
    repetitions = parser.parse_args().repetitions
    console = terminal.console()
    try:
        measurement = measure(repetitions, console)
    except (DidNotGoAsPlanned, EmulatorDidNotStart, NotKnown, SamFailed) as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 1
    save(measurement)
    for table in tables(measurement):
        console.print(table)
        console.print()
    console.print(
        f"kept in {MEASUREMENT.relative_to(PROJECT)}, of which `make docs` makes docs/cost.md", soft_wrap=True
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
