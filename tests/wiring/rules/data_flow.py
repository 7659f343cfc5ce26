"""Variables and `$states`: what an expression reads is there, on every path that leads to it."""

from collections.abc import Iterator, Mapping

from tests.wiring.definition import Machine, State, inner_machines, states, transitions
from tests.wiring.expressions import FUNCTIONS, LATER_OPERATORS, Malformed, Uses, uses_of
from tests.wiring.rules.registry import rule

# Where a state's own expressions stand, and what `$states` has there beside the input and the context.
# https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html
OUTCOME_FIELDS = frozenset({"Assign", "Output"})
HAVE_A_RESULT = frozenset({"Task", "Map", "Parallel"})
NOT_EXPRESSIONS = frozenset({"Comment", "Catch", "Choices", "ItemProcessor", "Branches"})


@rule
def each_expression_is_well_formed(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for place, fields in _scopes(state):
            try:
                uses_of(fields)
            except Malformed as malformed:
                yield f"{name}{place}: {malformed}"


@rule
def each_expression_is_of_jsonata_as_step_functions_has_it(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for place, fields in _scopes(state):
            uses = _uses(fields)
            for operator in uses.operators & LATER_OPERATORS:
                yield f"{name}{place}: {operator} is not in JSONata 2.0.6"
            if not uses.context_free:
                yield f"{name}{place}: $, $$ or a bare field, of which there is none"


@rule
def each_variable_is_assigned_on_every_path_to_where_it_is_read(machine: Machine) -> Iterator[str]:
    yield from _unassigned(machine, frozenset())


@rule
def no_output_reads_what_its_own_state_assigns(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for place, fields in _scopes(state):
            for variable in _uses(fields.get("Output")).variables & set(_mapping(fields.get("Assign"))):
                yield f"{name}{place}: Output reads ${variable}, as it was before Assign"


@rule
def a_result_is_read_only_where_there_is_one(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for place, fields in _scopes(state):
            has_result = not place and state["Type"] in HAVE_A_RESULT
            for field, value in fields.items():
                if not (has_result and field in OUTCOME_FIELDS) and _reads(value, "result"):
                    yield f"{name}{place}: {field} reads $states.result"


@rule
def an_error_is_read_only_where_it_is_caught(machine: Machine) -> Iterator[str]:
    for name, state in states(machine):
        for place, fields in _scopes(state):
            for field, value in fields.items():
                if not (place == ".Catch" and field in OUTCOME_FIELDS) and _reads(value, "errorOutput"):
                    yield f"{name}{place}: {field} reads $states.errorOutput"


@rule
def nothing_reads_an_unknown_part_of_states(machine: Machine) -> Iterator[str]:
    known = {"input", "context", "result", "errorOutput"}
    for name, state in states(machine):
        for path in _uses([fields for _, fields in _scopes(state)]).states:
            if not path or path[0] not in known:
                yield f"{name}: $states.{'.'.join(path)}"


@rule
def no_variable_has_the_name_of_a_function_or_of_one_outside(machine: Machine) -> Iterator[str]:
    yield from _hidden_names(machine, FUNCTIONS | {"states"})


@rule
def only_states_that_can_assign_do(machine: Machine) -> Iterator[str]:
    for name, state in states(machine, "Succeed", "Fail"):
        if "Assign" in state:
            yield f"{name}: a {state['Type']} assigns nothing"


@rule
def the_items_of_a_map_are_an_array(machine: Machine) -> Iterator[str]:
    # A filter that finds one item yields that item; an array constructor keeps it an array.
    for name, state in states(machine, "Map"):
        items = state.get("Items")
        if isinstance(items, str) and not items.removeprefix("{%").lstrip().startswith("["):
            yield f"{name}: Items may be no array"


def _scopes(state: State) -> Iterator[tuple[str, dict[str, object]]]:
    """The fields with expressions that are evaluated together: the state's own, each catcher's, each choice's."""
    yield "", {field: value for field, value in state.items() if field not in NOT_EXPRESSIONS}
    for place, rules in ((".Catch", state.get("Catch", [])), (".Choices", state.get("Choices", []))):
        for fields in rules:
            yield place, fields


def _unassigned(machine: Machine, outside: frozenset[str]) -> Iterator[str]:
    known = _assigned_before(machine, outside)
    for name, state in machine["States"].items():
        if name in known:
            read = _uses([fields for _, fields in _scopes(state)]).variables
            yield from (f"{name} reads ${variable}, not assigned on each path" for variable in read - known[name])
            for inner in inner_machines(state):
                yield from _unassigned(inner, known[name])


def _assigned_before(machine: Machine, outside: frozenset[str]) -> Mapping[str, frozenset[str]]:
    """For each state that can be reached, the variables that every path to it has assigned."""
    before = {machine["StartAt"]: outside}
    waiting = [machine["StartAt"]]
    while waiting:
        name = waiting.pop()
        for transition in transitions(machine["States"].get(name, {})):
            after = before[name] | transition.assigned
            met = before.get(transition.target)
            if met is None or met & after != met:
                before[transition.target] = after if met is None else met & after
                waiting.append(transition.target)
    return before


def _hidden_names(machine: Machine, taken: frozenset[str]) -> Iterator[str]:
    own = {
        name
        for state in machine["States"].values()
        for _, fields in _scopes(state)
        for name in _mapping(fields.get("Assign"))
    }
    yield from (f"${name} is taken" for name in own & taken)
    for state in machine["States"].values():
        for inner in inner_machines(state):
            yield from _hidden_names(inner, taken | own)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _reads(value: object, part: str) -> bool:
    return any(path[:1] == (part,) for path in _uses(value).states)


def _uses(node: object) -> Uses:
    """What the expressions use; nothing where one is malformed, which another rule finds."""
    try:
        return uses_of(node)
    except Malformed:
        return Uses()
