"""Walks every path through a definition: its expressions are evaluated, its functions run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from onboarding.models import CustomerData
from onboarding.registration import Registration
from tests.invocations import sample
from tests.wiring import aws, functions
from tests.wiring.definition import INVOKE, Machine, State
from tests.wiring.expressions import EvaluationFailed, evaluate

ENTERED_TIME = "2026-11-23T10:30:42.123Z"
TOO_LONG = 100  # states: a path without an end


@dataclass(frozen=True)
class Visit:
    """A task on a path, and the arguments that it calls its integration with."""

    path: tuple[str, ...]
    state: State
    arguments: Any

    @property
    def name(self) -> str:
        return self.path[-1]


@dataclass(frozen=True)
class End:
    """The end of a path, and the output that stands there."""

    path: tuple[str, ...]
    state: State
    output: Any


@dataclass
class Walk:
    """Everything that was met on all paths, for one registration."""

    registration: Registration
    visits: list[Visit] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def registrations() -> Iterator[Registration]:
    """Execution inputs: of a customer without anything optional, and of one with all of it."""
    plain = json.loads(sample("start_onboarding/one-registration")["Records"][0]["body"])
    for name in ("plain", "phone-and-address"):
        customer = CustomerData.model_validate_json(sample(f"register_customer/{name}")["body"])
        yield Registration.model_validate(plain | {"data": customer})


def walks(machine: Machine) -> Iterator[Walk]:
    """A walk for each of the registrations."""
    for registration in registrations():
        walk = Walk(registration)
        document = json.loads(registration.model_dump_json(by_alias=True, exclude_none=True))
        _Walker(walk, machine).enter(machine["StartAt"], (), document, {})
        yield walk


class _Walker:
    """Goes on from each state by each of its transitions, whatever a Choice would decide."""

    def __init__(self, walk: Walk, machine: Machine) -> None:
        self._walk = walk
        self._machine = machine

    def enter(self, name: str, path: tuple[str, ...], given: Any, variables: Mapping[str, Any]) -> None:
        path += (name,)
        if name not in self._machine["States"] or len(path) > TOO_LONG:
            return
        state = self._machine["States"][name]
        states = {"input": given, "context": {"State": {"Name": name, "EnteredTime": ENTERED_TIME}}}
        try:
            self._leave(state, path, states, variables)
        except EvaluationFailed as failure:
            self._walk.problems.append(f"{' > '.join(path)}: {failure}")

    def _leave(self, state: State, path: tuple[str, ...], states: dict[str, Any], variables: Mapping[str, Any]) -> None:
        match state["Type"]:
            case "Succeed" | "Fail":
                self._walk.ends.append(End(path, state, states["input"]))
                return
            case "Choice":
                self._choose(state, path, states, variables)
                return
            case "Task":
                states["result"] = self._task(state, path, evaluate(state.get("Arguments", {}), states, variables))
            case "Map":
                states["result"] = self._map(state, path, evaluate(state["Items"], states, variables), variables)
            case "Parallel":
                raise EvaluationFailed("no walk goes through a Parallel yet")
        for catcher in state.get("Catch", []):
            for error in catcher["ErrorEquals"]:
                caught = states | {"errorOutput": {"Error": error, "Cause": _cause(error)}, "result": None}
                self._go(catcher, catcher["Next"], path, caught, variables, default=caught["errorOutput"])
        if "Next" in state:
            result = states.get("result", states["input"])
            self._go(state, state["Next"], path, states, variables, default=result)
        else:
            self._walk.ends.append(End(path, state, self._output(state, states, variables)))

    def _choose(
        self, state: State, path: tuple[str, ...], states: dict[str, Any], variables: Mapping[str, Any]
    ) -> None:
        for choice in state["Choices"]:
            if not isinstance(evaluate(choice["Condition"], states, variables), bool):
                raise EvaluationFailed(f"neither true nor false: {choice['Condition']}")
            self._go(choice, choice["Next"], path, states, variables)
        self._go(state, state["Default"], path, states, variables)

    def _go(  # noqa: PLR0913, PLR0917 - a transition is all of these
        self,
        rule: State,
        target: str,
        path: tuple[str, ...],
        states: dict[str, Any],
        variables: Mapping[str, Any],
        default: Any = None,
    ) -> None:
        output = self._output(rule, states, variables, default)
        assigned = evaluate(rule.get("Assign", {}), states, variables)
        self.enter(target, path, output, {**variables, **assigned})

    def _output(self, rule: State, states: dict[str, Any], variables: Mapping[str, Any], default: Any = None) -> Any:
        if "Output" in rule:
            return evaluate(rule["Output"], states, variables)
        return states["input"] if default is None else default

    def _task(self, state: State, path: tuple[str, ...], arguments: Any) -> Any:
        self._walk.visits.append(Visit(path, state, arguments))
        if state["Resource"] != INVOKE:
            return {}
        function = functions.deployed().get(arguments["FunctionName"])
        if not function:
            raise EvaluationFailed("no such function")
        try:
            functions.parse(function, arguments["Payload"])
            return {"Payload": aws.answer(arguments["FunctionName"], json.dumps(arguments["Payload"]))}
        except Exception as error:  # noqa: BLE001 - whatever the function raises
            raise EvaluationFailed(f"{type(error).__name__}: {error}") from None

    def _map(self, state: State, path: tuple[str, ...], items: Any, variables: Mapping[str, Any]) -> list[Any]:
        if not isinstance(items, list):
            raise EvaluationFailed("Items is not an array")
        results = []
        for item in items:
            inner = Walk(self._walk.registration)
            start = state["ItemProcessor"]["StartAt"]
            _Walker(inner, state["ItemProcessor"]).enter(start, path, item, variables)
            self._walk.visits += inner.visits
            self._walk.problems += inner.problems
            results += [end.output for end in inner.ends]
        return results


def _cause(error: str) -> str:
    """The Cause that Lambda gives a function's error; of AWS's own errors it is a mere text."""
    if "." in error:
        return f"{error} happened"
    example = functions.example_of(error)
    return json.dumps({"errorMessage": str(example), "errorType": error, "stackTrace": []})
