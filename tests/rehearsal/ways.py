"""The ways through both state machines, from the failure matrix; they are walked, and the result is shown."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rich.progress import track

from cli import terminal
from tests.deployed.definition import tasks_of
from tests.deployed.engine.matrix import MATRIX, Row, failures
from tests.deployed.engine.world import ONBOARDED, Way
from tests.in_process import aws
from tests.rehearsal.walker import DifferenceFound, Engine, NotWalkable, Walker
from tests.wiring.definition import ERASURE, MACHINES, Machine, path, rendered
from tests.wiring.walk import registrations

ERASED = Way("Erased", ("DeprovisionAccount", "EraseCustomer", "PublishCustomerErased"), {"status": "ERASED"})


@dataclass(frozen=True)
class ErasureRow(Row):
    """A row for the erasure, which has one way."""

    @property
    def way(self) -> Way:
        return ERASED


def ways(name: str) -> list[tuple[Row, dict[str, Any]]]:
    """The failure matrix's rows, and the same for the erasure, each with the execution's input.

    Two more customers are onboarded without a fault: one has each field, the other only one name.
    """
    first, *others = (json.loads(it.model_dump_json(by_alias=True, exclude_none=True)) for it in registrations())
    if name == ERASURE:
        given = {key: first[key] for key in ("customerId", "correlationId")} | {"systems": [*aws.SYSTEMS]}
        tasks = tasks_of(rendered(ERASURE))
        return [(ErasureRow(task, failure), given) for task in tasks for failure in failures(task)]
    rows = [(row, first | {"data": first["data"] | row.way.customer}) for row in MATRIX]
    onboarded = next(row for row in MATRIX if row.way is ONBOARDED and row.failure.what == "same input twice")
    return rows + [(onboarded, other) for other in others]


def rehearse(
    engine: Engine, machine: Machine, chosen: Iterable[tuple[Row, dict[str, Any]]]
) -> Iterator[tuple[Row, DifferenceFound | NotWalkable | None]]:
    """Walk these ways through the machine; each with its problem, if any."""
    for row, given in chosen:
        try:
            Walker(engine, machine, row, given).walk()
            yield row, None
        except (DifferenceFound, NotWalkable) as problem:
            yield row, problem


def show(client: Any) -> bool:
    """Walk all ways, print the result, and return whether something differs or could not be walked."""
    console, summary, problems = terminal.console(), [], []
    for name in MACHINES:
        machine, chosen = rendered(name), ways(name)
        engine = Engine(client, machine)
        walking = rehearse(engine, machine, chosen)
        walked = list(track(walking, path(name), len(chosen), console=console, disable=not console.is_terminal))
        found = [(row, problem) for row, problem in walked if problem]
        not_walked = sum(isinstance(problem, NotWalkable) for _, problem in found)
        counts = (len(walked) - not_walked, len(engine.answers), len(found) - not_walked, not_walked)
        summary.append((path(name), *map(str, counts)))
        problems += found
    columns = ("ways", "questions", "differences", "not walked")
    console.print(terminal.listing("state machine", *columns, rows=summary, right=columns))
    if problems:
        console.print(terminal.listing("way", "problem", rows=[(str(row), str(problem)) for row, problem in problems]))
    return bool(problems)
