"""Executions of the deployed definitions: a walk that stands at each task until it is asked to go on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from benchmarks.outages import matches, retrier_for, waits_of
from cli.operate.execution import UNSUCCESSFUL
from tests.in_process import template
from tests.wiring.definition import AWAIT, Machine, State, rendered
from tests.wiring.expressions import evaluate
from tests.wiring.walk import Visit, Walk, Walker, Way

REDRIVABLE = timedelta(days=14)
_AT_WORK: datetime | None = None
_ANYBODY: Any = None  # a walk has a registration; nothing here reads it


class Failed(Exception):
    """A task failed, with an error of this name."""


class Execution(Walker):
    """An execution, in Step Functions' words; `left` are the items that a Map has still to do.

    `token` is that of the attempt at work. While the execution waits for it, `until` is when that times out.
    """

    def __init__(self, machine: str, confirmation: str, given: str, on_change: Callable[[Execution], None]) -> None:
        self.machine, self.given, self._on_change, self.confirmation = machine, given, on_change, confirmation
        self.definition = _machine(machine, confirmation)
        super().__init__(Walk(_ANYBODY), self.definition)
        self.customer_id: str = json.loads(given)["customerId"]
        self.status, self.error, self.changed = "RUNNING", "", datetime.now(UTC)
        self.output: dict[str, Any] = {}
        self.left: list[Any] = []
        self.token, self.until, self._attempts = "", _AT_WORK, 0
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
        """Do the task, of a Map for its next item; return its error. A `lasting` one is there at each retry.

        If the execution waits, that times out.
        """
        if self.until:
            time.sleep(max(0, (self.until - datetime.now(UTC)).total_seconds()))
            return self._meet(Visit(self.way.path, self.state, {}, "States.Timeout"), lasting=False)
        task, given = self.state, self.input
        if self.left:
            (task,) = self.state["ItemProcessor"]["States"].values()
            given = self.left[0]
        self._attempts += 1
        self.token = token = f"{self.customer_id}#{self._attempts}"
        states = self._states(given)
        arguments = evaluate(task["Arguments"], states, self.way.variables)
        timeout = timedelta(seconds=evaluate(task["TimeoutSeconds"], states, self.way.variables))
        try:
            result = perform(task, arguments)
        except Failed as failed:
            visit = Visit(self.way.path, task, arguments, str(failed))
            return self._meet(visit, lasting=lasting) if self.token == token else ""
        if task["Resource"] == AWAIT:
            self.until = datetime.now(UTC) + timeout if self.token == token else _AT_WORK
            return ""
        self.left = self.left[1:]
        if not self.left:
            self._go_on(self.state, self.way, self._states(self.input) | {"result": result})
        return ""

    def complete(self, token: str, error: str) -> bool:
        """End the task that has this token, even while its function works; False if it has another one."""
        if token != self.token:
            return False
        self.token, self.until = "", _AT_WORK
        if error:
            self._meet(Visit(self.way.path, self.state, {}, error), lasting=False)
        else:
            self._go_on(self.state, self.way, self._states(self.input) | {"result": {}})
        return True

    def change(self, status: str, error: str = "") -> None:
        """End, or go on where it failed."""
        self.status, self.error, self.changed = status, error, datetime.now(UTC)
        self.token, self.until = "", _AT_WORK
        self._on_change(self)
        if status == "RUNNING" and self.state["Type"] == "Fail":
            self._leave(self.state, self.way, self._states(self.input))

    @property
    def is_at_work(self) -> bool:
        """Whether it runs, and waits for nobody."""
        return self.status == "RUNNING" and not self.until

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
        context = {"State": {"Name": self.name, "EnteredTime": self.entered}, "Task": {"Token": self.token}}
        return {"input": given, "context": context}

    def _end(self, state: State, way: Way, output: Any) -> None:  # noqa: ARG002 - the walker's
        self.output = output
        self.change("SUCCEEDED" if state["Type"] == "Succeed" else "FAILED", state.get("Error", ""))

    def _meet(self, failed: Visit, *, lasting: bool) -> str:
        """Stay, to be tried again; or go where the error is caught; or fail. Return the error."""
        self.token, self.until = "", _AT_WORK
        retrier = retrier_for(failed.state, str(failed.error))
        waits = waits_of(retrier) if retrier else []
        time.sleep(sum(waits if lasting else waits[:1]))  # the world's clock goes on
        if waits and not lasting:
            return str(failed.error)
        for catcher in self.state.get("Catch", []):
            if matches(catcher["ErrorEquals"], str(failed.error)):
                self.left = []
                self._catch(catcher, self.way, self._states(self.input), (failed,))
                return str(failed.error)
        self.change("FAILED", str(failed.error))
        return str(failed.error)


class Refused(Exception):
    """Step Functions answers with an error of this name."""


class Executions(dict[str, Execution]):
    """A state machine's executions by name. Those to come ask customers for a `confirmation`: none or required."""

    def __init__(self, machine: str, confirmation: str = "none") -> None:
        super().__init__()
        self.machine, self.confirmation = machine, confirmation

    def answer(
        self, operation: str, given: Mapping[str, Any], on_change: Callable[[Execution], None]
    ) -> dict[str, Any]:
        """Answer a call that concerns one execution. Raises `Refused`."""
        name = given.get("name") or given["executionArn"].rpartition(":")[2]
        if operation == "StartExecution" and name not in self:
            self[name] = Execution(self.machine, self.confirmation, given["input"], on_change)
            return {}
        if name not in self:
            raise Refused("ExecutionDoesNotExist")
        it = self[name]
        match operation:
            case "StartExecution":
                if (it.status, it.given) != ("RUNNING", given["input"]):
                    raise Refused("ExecutionAlreadyExists")
            case "RedriveExecution":
                if not it.is_redrivable:
                    raise Refused("ExecutionNotRedrivable")
                it.change("RUNNING")
            case "StopExecution" if it.status == "RUNNING":
                it.change("ABORTED")
            case "GetExecutionHistory":
                return {"events": [{"stateEnteredEventDetails": {"name": it.name}}]}
            case "DescribeStateMachineForExecution":
                return {"definition": json.dumps(it.definition)}
        return it.description()

    def complete(self, token: str, error: str = "") -> dict[str, Any]:
        """End the task that has a token, with an error or none. Raises `Refused`, as AWS does, in either way."""
        it = self[token.partition("#")[0]]
        if not it.complete(token, error):
            raise Refused("TaskTimedOut" if it.status == "RUNNING" else "InvalidToken")
        return {}


@cache
def _machine(name: str, confirmation: str) -> Machine:
    with template.given(template.CHOSEN | {"EmailConfirmation": confirmation}):
        return rendered(name)
