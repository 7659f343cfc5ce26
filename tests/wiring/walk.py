"""Walks every path through a definition: its expressions are evaluated, its functions run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from onboarding.domain.models import CustomerData
from onboarding.domain.registration import Registration
from tests.invocations import sample
from tests.wiring import aws, functions
from tests.wiring.definition import INVOKE, UPDATE_ITEM, Machine, State
from tests.wiring.expressions import EvaluationFailed, evaluate

ENTERED_TIME = "2026-11-23T10:30:42.123Z"
TOO_LONG = 100  # states: a path without an end


@dataclass(frozen=True)
class Visit:
    """A task on a path, and the arguments that it calls its integration with; `error` is what the path catches."""

    path: tuple[str, ...]
    state: State
    arguments: Any
    error: str | None = None

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def function(self) -> str:
        """The package of the function that is invoked; empty where none is, or none of ours."""
        invoked = functions.deployed().get(self.arguments.get("FunctionName", ""))
        return invoked.package if invoked else ""


@dataclass(frozen=True)
class Way:
    """How a path came to where it is: its states, the visits of its tasks, what it has assigned."""

    path: tuple[str, ...] = ()
    visits: tuple[Visit, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """The end of a path, and the output that stands there; of a Fail, its Error and Cause."""

    path: tuple[str, ...]
    state: State
    output: Any
    visits: tuple[Visit, ...]

    @property
    def calls(self) -> tuple[aws.Made, ...]:
        return _calls(self.visits)


@dataclass
class Walk:
    """Everything that was met on all paths, for one registration. `taken` are the transitions, from state to state."""

    registration: Registration
    visits: list[Visit] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    taken: set[tuple[str, str]] = field(default_factory=set)
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
        _Walker(walk, machine).enter(machine["StartAt"], Way(), document)
        yield walk


class _Walker:
    """Goes on from each state by its Next and by each of its Catches; from a Choice as it decides.

    Behind a Map it goes on with each combination of the ways in which its iterations may end.
    """

    def __init__(self, walk: Walk, machine: Machine) -> None:
        self._walk = walk
        self._machine = machine

    def enter(self, name: str, way: Way, given: Any) -> None:
        way = replace(way, path=(*way.path, name))
        if name not in self._machine["States"] or len(way.path) > TOO_LONG:
            return
        state = self._machine["States"][name]
        states = {"input": given, "context": {"State": {"Name": name, "EnteredTime": ENTERED_TIME}}}
        try:
            self._leave(state, way, states)
        except EvaluationFailed as failure:
            self._walk.problems.append(f"{' > '.join(way.path)}: {failure}")

    def _leave(self, state: State, way: Way, states: dict[str, Any]) -> None:
        match state["Type"]:
            case "Succeed":
                self._end(state, way, states["input"])
            case "Fail":
                why = {key: state[key] for key in ("Error", "Cause") if key in state}
                self._end(state, way, evaluate(why, states, way.variables))
            case "Choice":
                self._choose(state, way, states)
            case "Task":
                self._task(state, way, states)
            case "Map":
                self._map(state, way, states)
            case "Pass":
                self._go_on(state, way, states)
            case unknown:
                raise EvaluationFailed(f"no walk goes through a {unknown} yet")

    def _end(self, state: State, way: Way, output: Any) -> None:
        self._walk.ends.append(End(way.path, state, output, way.visits))

    def _choose(self, state: State, way: Way, states: dict[str, Any]) -> None:
        for choice in state["Choices"]:
            decided = evaluate(choice["Condition"], states, way.variables)
            if not isinstance(decided, bool):
                raise EvaluationFailed(f"neither true nor false: {choice['Condition']}")
            if decided:
                self._go(choice, choice["Next"], way, states)
                return
        self._go(state, state["Default"], way, states)

    def _task(self, state: State, way: Way, states: dict[str, Any]) -> None:
        visit = Visit(way.path, state, evaluate(state.get("Arguments", {}), states, way.variables))
        self._walk.visits.append(visit)
        done = replace(way, visits=(*way.visits, visit))
        states["result"] = self._result(done)
        for catcher in state.get("Catch", []):
            for error in catcher["ErrorEquals"]:
                caught = states | {"errorOutput": {"Error": error, "Cause": _cause(error)}, "result": None}
                failed = replace(way, visits=(*way.visits, replace(visit, error=error)))
                self._go(catcher, catcher["Next"], failed, caught, default=caught["errorOutput"])
        self._go_on(state, done, states)

    def _result(self, way: Way) -> Any:
        visit = way.visits[-1]
        resource = visit.state["Resource"]
        if resource not in {INVOKE, UPDATE_ITEM}:
            return {}
        function = functions.deployed().get(visit.arguments["FunctionName"]) if resource == INVOKE else None
        if resource == INVOKE and not function:
            raise EvaluationFailed("no such function")
        try:
            if function:
                functions.parse(function, visit.arguments["Payload"])
            answer = aws.answer(_calls(way.visits))
        except Exception as error:  # noqa: BLE001 - whatever the function raises
            raise EvaluationFailed(f"{type(error).__name__}: {error}") from None
        return {"Payload": answer} if function else answer

    def _map(self, state: State, way: Way, states: dict[str, Any]) -> None:
        items = evaluate(state["Items"], states, way.variables)
        if not isinstance(items, list):
            raise EvaluationFailed("Items is not an array")
        for iterations in product(*(self._iteration(state["ItemProcessor"], way, item) for item in items)):
            results = [end.output for end in iterations]
            visits = [visit for end in iterations for visit in end.visits[len(way.visits) :]]
            self._go_on(state, replace(way, visits=(*way.visits, *visits)), states | {"result": results})

    def _iteration(self, machine: Machine, way: Way, item: Any) -> list[End]:
        """The ends of an iteration, one for each output and each error that a function raises; AWS's are all alike."""
        inner = Walk(self._walk.registration, self._walk.visits, [], self._walk.taken, self._walk.problems)
        _Walker(inner, machine).enter(machine["StartAt"], way, item)
        ends = {}
        for end in inner.ends:
            caught = [visit.error for visit in end.visits[len(way.visits) :]]
            alike = [error if error in functions.business_errors() else bool(error) for error in caught]
            ends[json.dumps([end.output, alike])] = end
        return list(ends.values())

    def _go_on(self, state: State, way: Way, states: dict[str, Any]) -> None:
        result = states.get("result", states["input"])
        if "Next" in state:
            self._go(state, state["Next"], way, states, default=result)
        else:
            self._end(state, way, _output(state, way, states, default=result))

    def _go(self, rule: State, target: str, way: Way, states: dict[str, Any], default: Any = None) -> None:
        self._walk.taken.add((way.path[-1], target))
        output = _output(rule, way, states, default)
        assigned = evaluate(rule.get("Assign", {}), states, way.variables)
        self.enter(target, replace(way, variables={**way.variables, **assigned}), output)


def _output(rule: State, way: Way, states: dict[str, Any], default: Any) -> Any:
    if "Output" in rule:
        return evaluate(rule["Output"], states, way.variables)
    return states["input"] if default is None else default


def _calls(visits: tuple[Visit, ...]) -> tuple[aws.Made, ...]:
    """What was called and did its work: functions, and the table itself."""
    return tuple(
        aws.Made(visit.arguments["FunctionName"], json.dumps(visit.arguments["Payload"]))
        if visit.state["Resource"] == INVOKE
        else aws.Made(UPDATE_ITEM, json.dumps(visit.arguments))
        for visit in visits
        if visit.error is None and visit.state["Resource"] in {INVOKE, UPDATE_ITEM}
    )


def _cause(error: str) -> str:
    """The Cause that Lambda gives a function's error; of AWS's own errors it is a mere text."""
    if "." in error:
        return f"{error} happened"
    example = functions.example_of(error)
    return json.dumps({"errorMessage": str(example), "errorType": error, "stackTrace": []})
