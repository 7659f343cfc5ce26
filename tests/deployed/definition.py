"""The definition's tasks, inside Maps too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.outages import attempts_of, retrier_for
from cli.documents.workflow_picture import inner_machines
from tests.in_process.functions import deployed, expected_errors
from tests.wiring.definition import AWAIT, INVOKE, rendered


@dataclass(frozen=True)
class Task:
    """A Task state. `entered` is the top-level state that a history names: the task itself, or its Map."""

    name: str
    entered: str
    state: Mapping[str, Any] = field(repr=False, hash=False)

    @property
    def is_native(self) -> bool:
        """Whether it calls an AWS service directly."""
        return self.state["Resource"] not in {INVOKE, AWAIT}

    @property
    def integration(self) -> str:
        """What it calls, such as `lambda:invoke`."""
        return str(self.state["Resource"]).partition(":::")[2]

    @property
    def typed_errors(self) -> frozenset[str]:
        """The errors that its function expects, by name."""
        return frozenset() if self.is_native else expected_errors(deployed()[self.state["Arguments"]["FunctionName"]])

    def tries(self, error: str) -> int:
        """How many tries it gets if each fails with this error."""
        retrier = retrier_for(dict(self.state), error)
        return 1 + (attempts_of(retrier) if retrier else 0)


def tasks_of(machine: Mapping[str, Any], inside: str | None = None) -> Iterator[Task]:
    """The tasks of a machine; of a Map's, if it is `inside` one."""
    for name, state in machine["States"].items():
        if state["Type"] == "Task":
            yield Task(name, inside or name, state)
        for inner in inner_machines(state):
            yield from tasks_of(inner, inside or name)


TASKS: Mapping[str, Task] = {task.name: task for task in tasks_of(rendered())}
