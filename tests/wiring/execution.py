"""Executions of the deployed definitions: a walk that stands at each task until it is asked to go on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from benchmarks.outages import matches, retrier_for, waits_of
from tests.in_process import template
from tests.wiring.definition import State, rendered
from tests.wiring.expressions import evaluate
from tests.wiring.walk import Visit, Walk, Walker, Way

UNSUCCESSFUL = ("FAILED", "TIMED_OUT")
REDRIVABLE = timedelta(days=14)
_machine = cache(rendered)
_ANYBODY: Any = None  # a walk has a registration; nothing here reads it


class Failed(Exception):
    """A task failed, with an error of this name."""


class Execution(Walker):
    """An execution, in Step Functions' words; `left` are the items that a Map has still to do."""

    def __init__(self, machine: str, given: str, on_change: Callable[[Execution], None]) -> None:
        self.machine, self.given, self._on_change = machine, given, on_change
        self.definition = _machine(machine)
        super().__init__(Walk(_ANYBODY), self.definition)
        self.customer_id: str = json.loads(given)["customerId"]
        self.status, self.error, self.changed = "RUNNING", "", datetime.now(UTC)
        self.output: dict[str, Any] = {}
        self.left: list[Any] = []
        self.enter(self.definition["StartAt"], Way(), json.loads(given))

    def enter(self, name: str, way: Way, given: Any) -> None:
        """Stand at the next task or Map, where a walk would go on."""
        self.name, self.state = name, self.definition["States"][name]
        self.way, self.input = replace(way, path=(*way.path, name)), given
        self.entered = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self.state["Type"] == "Map":
            self.left = evaluate(self.state["Items"], self._states(given), way.variables)
        elif self.state["Type"] != "Task":
            self._leave(self.state, self.way, self._states(given))

    def step(self, perform: Callable[[State, Any], Any], *, lasting: bool) -> str:
        """Do the task, of a Map for its next item; return its error. A `lasting` one is there at each retry."""
        task, given = self.state, self.input
        if self.left:
            (task,) = self.state["ItemProcessor"]["States"].values()
            given = self.left[0]
        arguments = evaluate(task["Arguments"], self._states(given), self.way.variables)
        try:
            result = perform(task, arguments)
        except Failed as failed:
            self._meet(Visit(self.way.path, task, arguments, str(failed)), lasting=lasting)
            return str(failed)
        self.left = self.left[1:]
        if not self.left:
            self._go_on(self.state, self.way, self._states(self.input) | {"result": result})
        return ""

    def change(self, status: str, error: str = "") -> None:
        """End, or go on where it failed."""
        self.status, self.error, self.changed = status, error, datetime.now(UTC)
        self._on_change(self)
        if status == "RUNNING" and self.state["Type"] == "Fail":
            self._leave(self.state, self.way, self._states(self.input))

    @property
    def is_redrivable(self) -> bool:
        return self.status in UNSUCCESSFUL and datetime.now(UTC) < self.changed + REDRIVABLE

    def description(self) -> dict[str, Any]:
        """The execution as DescribeExecution answers, and as its event on the default bus says."""
        machine = template.reference_to(self.machine)
        return {
            "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{self.customer_id}",
            "stateMachineArn": machine,
            "name": self.customer_id,
            "status": self.status,
            "input": self.given,
            "output": json.dumps(self.output),
            "error": self.error,
            "redriveStatus": "REDRIVABLE" if self.is_redrivable else "NOT_REDRIVABLE",
            "redriveDate" if self.status == "RUNNING" else "stopDate": self.changed,
            "redriveCount": 1,
        }

    def _states(self, given: Any) -> dict[str, Any]:
        return {"input": given, "context": {"State": {"Name": self.name, "EnteredTime": self.entered}}}

    def _end(self, state: State, way: Way, output: Any) -> None:  # noqa: ARG002 - the walker's
        self.output = output
        self.change("SUCCEEDED" if state["Type"] == "Succeed" else "FAILED", state.get("Error", ""))

    def _meet(self, failed: Visit, *, lasting: bool) -> None:
        """Stay, to be tried again; or go where the error is caught; or fail."""
        retrier = retrier_for(failed.state, str(failed.error))
        waits = waits_of(retrier) if retrier else []
        time.sleep(sum(waits if lasting else waits[:1]))  # the world's clock goes on
        if waits and not lasting:
            return
        for catcher in self.state.get("Catch", []):
            if matches(catcher["ErrorEquals"], str(failed.error)):
                self.left = []
                self._catch(catcher, self.way, self._states(self.input), (failed,))
                return
        self.change("FAILED", str(failed.error))
