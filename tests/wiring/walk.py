"""Walks every path through a definition: its expressions are evaluated, and its tasks answered.

A function of all calls on the path so far gives each task's answer: by default, the functions in process give it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain, pairwise, product
from typing import Any

from cli.documents import examples
from onboarding.domain.customer import RegistrationForm
from onboarding.domain.errors import CustomerInvalid, DownstreamRefused
from onboarding.domain.registration import Registration
from tests.in_process import aws, functions
from tests.invocations import sample
from tests.wiring.calls import Made, answer
from tests.wiring.definition import AWAIT, INVOKE, PUT_EVENTS, UPDATE_ITEM, WAY_BACK, Machine, State
from tests.wiring.expressions import FUNCTIONS, EvaluationFailed, evaluate

Answer = Callable[[tuple[Made, ...]], Any]

ENTERED_TIME, TOKEN = "2026-11-23T10:30:42.123Z", "task-token"


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
    def calls(self) -> tuple[Made, ...]:
        return calls_of(self.visits)

    @property
    def meets_an_erasure(self) -> bool:
        """Whether the customer was erased meanwhile, which the erasure publishes."""
        return self.visits[-1].error == "AccountErased"


@dataclass
class Walk:
    """What is on all paths, for one registration; `taken` are the transitions from state to state."""

    registration: Registration
    visits: list[Visit] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    entered: set[str] = field(default_factory=set)
    taken: set[tuple[str, str]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def registrations() -> Iterator[Registration]:
    """Execution inputs, as typed: customers without any optional field, with all of them, and with one name."""
    message = json.loads(sample("start_onboarding/one-registration")["Records"][0]["body"])
    plain, one_name = (json.loads(sample(f"register_customer/{name}")["body"]) for name in ("plain", "one-name"))
    for form in (plain, examples.registration(), one_name):
        customer = RegistrationForm.model_validate(form).customer()
        typed = customer.model_copy(
            update={
                "first_name": f" {customer.first_name} ",
                "last_name": f" {customer.last_name} ",
                "email": customer.email.replace("example.com", "EXAMPLE.com"),
            }
        )
        url = {} if form is plain else {"apiUrl": "https://api.example.com/api/customers"}  # as from release 1.0
        yield Registration.model_validate(message | url | {"data": typed})


def walks(machine: Machine, answer: Answer = answer) -> tuple[Walk, ...]:
    """A walk for each of the registrations."""
    return _walks(json.dumps(machine), answer)


@cache
def _walks(definition: str, answer: Answer) -> tuple[Walk, ...]:
    found = []
    machine = json.loads(definition)
    for registration in registrations():
        walk = Walk(registration)
        document = json.loads(registration.model_dump_json(by_alias=True, exclude_none=True))
        if "EraseCustomer" in machine["States"]:  # the input names the systems, and has nothing personal
            document = {key: document[key] for key in ("customerId", "correlationId")} | {"systems": [*aws.SYSTEMS]}
        Walker(walk, machine, answer).enter(machine["StartAt"], Way(), document)
        found.append(walk)
    return tuple(found)


class Walker:
    """Goes on from each state by its Next and by each of its Catches; from a Choice as it decides.

    No path has a transition twice, so it waits for the customer's confirmation once.
    After a Map it goes on with each combination of its iterations' ends. `outside` are the names
    of variables that the machine may read, and not assign.
    """

    def __init__(
        self, walk: Walk, machine: Machine, answer: Answer = answer, outside: frozenset[str] = frozenset()
    ) -> None:
        self._walk = walk
        self._machine = machine
        self._answer = answer
        self._outside = outside

    def enter(self, name: str, way: Way, given: Any) -> None:
        way = replace(way, path=(*way.path, name))
        states = {
            "input": given,
            "context": {"State": {"Name": name, "EnteredTime": ENTERED_TIME}, "Task": {"Token": TOKEN}},
        }
        try:
            if name not in self._machine["States"]:
                raise EvaluationFailed("there is no such state")  # noqa: TRY301 - reported like all else
            if name in way.path[:-1] and way.path[-2:] != WAY_BACK:
                raise EvaluationFailed("the way leads back")  # noqa: TRY301
            self._walk.entered.add(name)
            self._leave(self._machine["States"][name], way, states)
        except EvaluationFailed as failure:
            self._walk.problems.append(f"{' > '.join(way.path)}: {failure}")

    def _leave(self, state: State, way: Way, states: dict[str, Any]) -> None:
        match state["Type"]:
            case "Succeed":
                self._end(state, way, _output(state, way, states, states["input"]))
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
        if "Default" not in state:
            raise EvaluationFailed("no Condition holds, and there is no Default")
        self._go(state, state["Default"], way, states)

    def _task(self, state: State, way: Way, states: dict[str, Any]) -> None:
        visit = Visit(way.path, state, evaluate(state.get("Arguments", {}), states, way.variables))
        self._walk.visits.append(visit)
        done = replace(way, visits=(*way.visits, visit))
        result = self._result(done)
        for catcher in state.get("Catch", []):
            for error in catcher["ErrorEquals"]:
                self._catch(catcher, way, states, (replace(visit, error=error),))
        self._go_on(state, done, states | {"result": result})

    def _catch(self, catcher: State, way: Way, states: dict[str, Any], visits: tuple[Visit, ...]) -> None:
        """Go on from the last of these visits, which failed."""
        failed = visits[-1]
        caught = states | {"errorOutput": {"Error": failed.error, "Cause": cause_of(failed)}}
        way = replace(way, visits=(*way.visits, *visits))
        self._go(catcher, catcher["Next"], way, caught, default=caught["errorOutput"])

    def _result(self, way: Way) -> Any:
        visit = way.visits[-1]
        resource = visit.state["Resource"]
        if resource == PUT_EVENTS:
            return {}
        if resource not in {INVOKE, AWAIT, UPDATE_ITEM}:
            raise EvaluationFailed(f"no walk knows yet what {resource} answers")
        if resource != UPDATE_ITEM and not visit.function:
            raise EvaluationFailed(f"{visit.arguments['FunctionName']} is the alias of no function of template.yaml")
        try:
            answer = self._answer(calls_of(way.visits))
        except Exception as error:  # noqa: BLE001 - all that a function raises
            raise EvaluationFailed(f"{type(error).__name__}: {error}") from None
        return {} if resource == AWAIT else {"Payload": answer} if visit.function else answer

    def _map(self, state: State, way: Way, states: dict[str, Any]) -> None:
        items = evaluate(state["Items"], states, way.variables)
        if not isinstance(items, list):
            raise EvaluationFailed("Items is not an array")
        for iterations in product(*(self._iteration(state["ItemProcessor"], way, item) for item in items)):
            self._fail(state, way, states, iterations)
            results = [end.output for end in iterations]
            visits = [visit for end in iterations for visit in end.visits[len(way.visits) :]]
            self._go_on(state, replace(way, visits=(*way.visits, *visits)), states | {"result": results})

    def _fail(self, state: State, way: Way, states: dict[str, Any], iterations: tuple[End, ...]) -> None:
        """Each iteration in turn fails at its last task, once all others are done; what is retried is not caught."""
        for failing in iterations:
            others = [end.visits[len(way.visits) :] for end in iterations if end is not failing]
            *before, last = failing.visits[len(way.visits) :]
            for catcher in state.get("Catch", []):
                for error in catcher["ErrorEquals"]:
                    visits = (*chain.from_iterable(others), *before, replace(last, error=error))
                    self._catch(catcher, way, states, visits)

    def _iteration(self, machine: Machine, way: Way, item: Any) -> list[End]:
        """The ends of an iteration, one for each output and each error that a function raises; AWS's are all alike."""
        inner = replace(self._walk, ends=[])
        outside = self._outside | frozenset(way.variables)
        Walker(inner, machine, self._answer, outside).enter(machine["StartAt"], way, item)
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
        if (way.path[-1], target) in pairwise(way.path):
            return
        self._walk.taken.add((way.path[-1], target))
        output = _output(rule, way, states, default)
        assigned = evaluate(rule.get("Assign", {}), states, way.variables)
        if taken := assigned.keys() & (self._outside | FUNCTIONS | {"states"}):
            raise EvaluationFailed(f"Assign: the names {sorted(taken)} are taken")
        self.enter(target, replace(way, variables={**way.variables, **assigned}), output)


def _output(rule: State, way: Way, states: dict[str, Any], default: Any) -> Any:
    if "Output" in rule:
        return evaluate(rule["Output"], states, way.variables)
    return states["input"] if default is None else default


def calls_of(visits: tuple[Visit, ...]) -> tuple[Made, ...]:
    """The calls that succeeded: of functions, and of the table itself."""
    return tuple(
        Made(UPDATE_ITEM, json.dumps(visit.arguments))
        if visit.state["Resource"] == UPDATE_ITEM
        else Made(visit.arguments["FunctionName"], json.dumps(visit.arguments["Payload"]))
        for visit in visits
        if (visit.error is None and visit.state["Resource"] != PUT_EVENTS) or visit.state["Resource"] == AWAIT
    )


def cause_of(failed: Visit) -> str:
    """The Cause that Lambda gives a function's error; of AWS's own errors it is a mere text."""
    error = str(failed.error)
    if "." in error:
        return f"{error} happened"
    message = ""
    if error == CustomerInvalid.__name__:
        message = str(CustomerInvalid([{"field": "email", "code": "email_invalid", "message": "Must be valid"}]))
    elif error == DownstreamRefused.__name__:
        message = str(DownstreamRefused(failed.arguments["Payload"]["system"], "HTTP 422"))
    return json.dumps({"errorMessage": message, "errorType": error, "stackTrace": []})
