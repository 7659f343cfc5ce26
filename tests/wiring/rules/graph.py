"""States and the ways between them."""

from collections.abc import Iterator

from tests.wiring.definition import END_TYPES, Machine, State, machines, states, transitions
from tests.wiring.rules.registry import rule


@rule
def each_transition_leads_to_a_state(machine: Machine) -> Iterator[str]:
    for each in machines(machine):
        for name, state in each["States"].items():
            for transition in transitions(state):
                if transition.target not in each["States"]:
                    yield f"{name} leads to {transition.target}, which there isn't"
        if each["StartAt"] not in each["States"]:
            yield f"StartAt is {each['StartAt']}, which there isn't"


@rule
def each_state_can_be_reached(machine: Machine) -> Iterator[str]:
    for each in machines(machine):
        reached: set[str] = set()
        waiting = [each["StartAt"]]
        while waiting:
            name = waiting.pop()
            if name in each["States"] and name not in reached:
                reached.add(name)
                waiting += [transition.target for transition in transitions(each["States"][name])]
        yield from (f"nothing leads to {name}" for name in each["States"] if name not in reached)


@rule
def no_way_leads_back(machine: Machine) -> Iterator[str]:
    for each in machines(machine):
        left: set[str] = set()
        for name in each["States"]:
            yield from _ways_back(each, name, (), left)


@rule
def each_path_of_the_workflow_ends_in_succeed_or_fail(machine: Machine) -> Iterator[str]:
    for name, state in machine["States"].items():
        if state["Type"] not in END_TYPES and (state.get("End") or not _leads_on(state)):
            yield f"{name} ends the workflow, and is no named end"


@rule
def each_choice_has_a_default(machine: Machine) -> Iterator[str]:
    yield from (f"{name} has no Default" for name, state in states(machine, "Choice") if "Default" not in state)


@rule
def each_state_has_a_name_of_its_own(machine: Machine) -> Iterator[str]:
    names = [name for name, _ in states(machine)]
    yield from (f"{name} is the name of two states" for name in set(names) if names.count(name) > 1)


def _ways_back(machine: Machine, name: str, path: tuple[str, ...], left: set[str]) -> Iterator[str]:
    if name in path:
        yield f"a loop: {' > '.join([*path, name])}"
    elif name in machine["States"] and name not in left:
        for transition in transitions(machine["States"][name]):
            yield from _ways_back(machine, transition.target, (*path, name), left)
        left.add(name)


def _leads_on(state: State) -> bool:
    return any(True for transition in transitions(state) if not transition.errors)
