"""The state machine's definition as it is deployed, and its parts: machines, states, transitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from cli import PROJECT
from tests.wiring import template

Machine = dict[str, Any]
State = dict[str, Any]

SUBSTITUTION = re.compile(r"\$\{(\w+)\}")
INVOKE = f"arn:{template.PARTITION}:states:::lambda:invoke"
PUT_EVENTS = f"arn:{template.PARTITION}:states:::events:putEvents"
UPDATE_ITEM = f"arn:{template.PARTITION}:states:::dynamodb:updateItem"
END_TYPES = {"Succeed", "Fail"}


@dataclass(frozen=True)
class Transition:
    """One way out of a state: where it leads, what it assigns on the way, and the errors that lead there."""

    target: str
    assigned: frozenset[str] = frozenset()
    errors: tuple[str, ...] = ()


@cache
def text() -> str:
    """The definition as it is written, its substitutions in it."""
    path: str = _properties()["DefinitionUri"]
    return (PROJECT / path).read_text(encoding="utf-8")


def substitutions() -> Mapping[str, str]:
    """What the template puts in, by name."""
    return template.resolve(_properties()["DefinitionSubstitutions"])  # type: ignore[no-any-return]


def rendered() -> Machine:
    """The definition that is deployed; anew each time, so that a test may break it."""
    return deepcopy(_parsed(SUBSTITUTION.sub(lambda found: substitutions()[found[1]], text())))


def machines(machine: Machine) -> Iterator[Machine]:
    """The machine, and those that its Map and Parallel states run."""
    yield machine
    for state in machine["States"].values():
        for inner in inner_machines(state):
            yield from machines(inner)


def inner_machines(state: State) -> list[Machine]:
    return [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]


def states(machine: Machine, *types: str) -> Iterator[tuple[str, State]]:
    """The states of all machines, or of these types, with their names."""
    for each in machines(machine):
        for name, state in each["States"].items():
            if not types or state["Type"] in types:
                yield name, state


def tasks(machine: Machine, resource: str) -> Iterator[tuple[str, State]]:
    """The tasks that call this integration, with their names."""
    for name, state in states(machine, "Task"):
        if state["Resource"] == resource:
            yield name, state


def transitions(state: State) -> Iterator[Transition]:
    """Every way out of a state."""
    if "Next" in state:
        yield Transition(state["Next"], frozenset(state.get("Assign", {})))
    for choice in state.get("Choices", []):
        yield Transition(choice["Next"], frozenset(choice.get("Assign", {})))
    if "Default" in state:
        yield Transition(state["Default"], frozenset(state.get("Assign", {})))
    for catcher in state.get("Catch", []):
        yield Transition(catcher["Next"], frozenset(catcher.get("Assign", {})), tuple(catcher["ErrorEquals"]))


def error_names(machine: Machine) -> Iterator[tuple[str, State, str]]:
    """Every name in an ErrorEquals, with the state that it stands in."""
    for name, state in states(machine):
        for rule in [*state.get("Retry", []), *state.get("Catch", [])]:
            for error in rule["ErrorEquals"]:
                yield name, state, error


@cache
def _parsed(definition: str) -> Machine:
    return dict(yaml.safe_load(definition))


def _properties() -> dict[str, Any]:
    (properties,) = template.written_resources("AWS::Serverless::StateMachine").values()
    return dict(properties)
