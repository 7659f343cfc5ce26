"""What the tasks call, and what they hand over."""

from collections.abc import Iterator

from pydantic import ValidationError

from tests.wiring.definition import INVOKE, PUT_EVENTS, UPDATE_ITEM, Machine, states, transitions
from tests.wiring.functions import deployed, parse
from tests.wiring.rules.registry import rule
from tests.wiring.walk import walks


@rule
def each_task_calls_an_integration_that_is_looked_into_here(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Task"):
        if state["Resource"] not in {INVOKE, PUT_EVENTS, UPDATE_ITEM}:
            yield f"{name} calls {state['Resource']}, of which these rules know nothing"


@rule
def each_function_that_is_called_is_the_template_s(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        for visit in walk.visits:
            if visit.state["Resource"] == INVOKE and visit.arguments["FunctionName"] not in deployed():
                yield f"{visit.name} calls {visit.arguments['FunctionName']}"


@rule
def each_way_out_of_a_state_is_taken_on_some_path(machine: Machine) -> Iterator[str]:
    taken = {way for walk in walks(machine) for way in walk.taken}
    for name, state in states(machine):
        for transition in transitions(state):
            if (name, transition.target) not in taken:
                yield f"{name} never leads to {transition.target}"


@rule
def each_expression_has_a_value_on_each_path(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        yield from walk.problems


@rule
def each_payload_is_what_the_function_parses_and_no_more(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        for visit in walk.visits:
            function = deployed().get(visit.arguments.get("FunctionName", ""))
            if function:
                try:
                    parse(function, visit.arguments["Payload"])
                except ValidationError as error:
                    yield f"{visit.name}: {error}"
