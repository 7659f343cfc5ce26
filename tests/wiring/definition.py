"""The deployed definitions of the state machines, and their parts: machines, states, transitions."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from cli import PROJECT
from cli.documents.workflow_picture import inner_machines
from tests.in_process import template

Machine = dict[str, Any]
State = dict[str, Any]

# The only way back: a customer who has confirmed the e-mail address gets the account.
WAY_BACK = ("PublishCustomerEmailConfirmed", "CreateAccount")

# The logical ids of the state machines. The onboarding's is meant where none is named.
ONBOARDING, ERASURE = MACHINES = ("CustomerOnboardingStateMachine", "CustomerErasureStateMachine")

SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
INVOKE = f"arn:{template.PARTITION}:states:::lambda:invoke"
AWAIT = f"{INVOKE}.waitForTaskToken"  # the function is invoked, then the state waits for its token
PUT_EVENTS = f"arn:{template.PARTITION}:states:::events:putEvents"
UPDATE_ITEM = f"arn:{template.PARTITION}:states:::dynamodb:updateItem"


def path(name: str = ONBOARDING) -> str:
    """The definition's file."""
    return str(properties(name)["DefinitionUri"])


@cache
def text(name: str = ONBOARDING) -> str:
    """The definition as written, with its substitutions."""
    return (PROJECT / path(name)).read_text(encoding="utf-8")


def substitutions(name: str = ONBOARDING) -> Mapping[str, str]:
    """The template's values for the substitutions, by name."""
    return template.resolve(properties(name)["DefinitionSubstitutions"])  # type: ignore[no-any-return]


def rendered(name: str = ONBOARDING) -> Machine:
    """A new copy of the deployed definition. Raises `KeyError` if a substitution is missing."""
    values = substitutions(name)
    if missing := set(SUBSTITUTION.findall(text(name))) - values.keys():
        raise KeyError(f"{path(name)}: {sorted(missing)} have no DefinitionSubstitutions in template.yaml")
    return dict(yaml.load(SUBSTITUTION.sub(lambda found: str(values[found[1]]), text(name)), yaml.CSafeLoader))


def changed(machine: Machine, place: str, value: Any) -> Machine:
    """The machine with another value at a place in its states, such as `CreateAccount/Next`; None deletes it."""
    *parents, last = place.split("/")
    node: Any = machine["States"]
    for part in parents:
        node = node[int(part) if part.isdigit() else part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return machine


def machines(machine: Machine) -> Iterator[Machine]:
    """The machine, and those that its Map and Parallel states run."""
    yield machine
    for state in machine["States"].values():
        for inner in inner_machines(state):
            yield from machines(inner)


def states(machine: Machine, *types: str) -> Iterator[tuple[str, State]]:
    """The states of all machines, or of these types, with their names."""
    for each in machines(machine):
        for name, state in each["States"].items():
            if not types or state["Type"] in types:
                yield name, state


def tasks(machine: Machine, *resources: str) -> Iterator[tuple[str, State]]:
    """The tasks that call one of these integrations, with their names."""
    for name, state in states(machine, "Task"):
        if state["Resource"] in resources:
            yield name, state


def targets(state: State) -> Iterator[str]:
    """The states that a state leads to."""
    for rule in (state, *state.get("Choices", []), *state.get("Catch", [])):
        if "Next" in rule:
            yield rule["Next"]
    if "Default" in state:
        yield state["Default"]


def error_names(machine: Machine) -> Iterator[tuple[str, State, str]]:
    """Every name in an ErrorEquals, with the state that it stands in."""
    for name, state in states(machine):
        for rule in [*state.get("Retry", []), *state.get("Catch", [])]:
            for error in rule["ErrorEquals"]:
                yield name, state, error


def properties(name: str) -> dict[str, Any]:
    """The state machine in the template, as written."""
    found = template.written_resources("AWS::Serverless::StateMachine")
    assert found.keys() == set(MACHINES), f"tests/wiring/definition.py: MACHINES is not {set(found)}"
    return dict(found[name])
