"""The account is in every downstream system, or in none; see the saga in docs/design.md."""

from collections.abc import Iterator
from itertools import combinations

from tests.unit.personal_data import found, typed
from tests.wiring.aws import items_after
from tests.wiring.definition import INVOKE, PUT_EVENTS, Machine, State, inner_machines, states, transitions
from tests.wiring.functions import COMPENSATIONS, business_errors
from tests.wiring.rules.errors import errors_of
from tests.wiring.rules.registry import rule
from tests.wiring.rules.retries import TRANSIENT
from tests.wiring.walk import End, Visit, walks

NOTHING_TO_UNDO = frozenset({"validate_customer", *COMPENSATIONS.values()})
# The account's status at each end; where there is none, there was no account.
ACCOUNTS = {"Onboarded": "ACTIVE", "OnboardedWithoutEmail": "ACTIVE", "AccountNotProvisioned": "CANCELLED"}


@rule
def each_iteration_on_the_way_to_a_success_catches_the_foreseen_failures_and_no_others(
    machine: Machine,
) -> Iterator[str]:
    # Else the Map would fail while other iterations run on.
    for name, state in _successful(machine):
        for inner in inner_machines(state):
            for inner_name, task in states(inner, "Task"):
                foreseen = {*TRANSIENT.get(task["Resource"], ()), *(errors_of(task) & business_errors().keys())}
                caught = {error for catcher in task.get("Catch", []) for error in catcher["ErrorEquals"]}
                yield from (f"{name}: {inner_name} does not catch {error}" for error in foreseen - caught)
                yield from (f"{name}: {inner_name} catches {error}" for error in caught - foreseen)


@rule
def nothing_is_caught_where_the_execution_can_only_fail(machine: Machine) -> Iterator[str]:
    # A compensation that can't be done is redriven.
    successful = dict(_successful(machine))
    for name, state in machine["States"].items():
        if name not in successful:
            inner = [state for each in inner_machines(state) for state in states(each)]
            yield from (f"{it} has a Catch" for it, each in [(name, state), *inner] if "Catch" in each)


@rule
def a_failure_undoes_all_that_was_done_the_last_first(machine: Machine) -> Iterator[str]:
    for end in _ends(machine, "Fail"):
        undone: list[tuple[Visit, int]] = []
        for position, visit in enumerate(end.visits):
            if visit.function in COMPENSATIONS:
                where = _compensation(visit, end, position)
                undone += [(visit, where)] if where else []
                if not where:
                    yield f"{' > '.join(end.path)} does not undo {visit.function} of {visit.arguments['Payload']}"
            elif visit.state["Resource"] == INVOKE and visit.function not in NOTHING_TO_UNDO:
                yield f"{' > '.join(end.path)}: nothing undoes {visit.function}"
        for (earlier, first), (later, second) in combinations(undone, 2):
            if earlier.function != later.function and first < second:
                yield f"{' > '.join(end.path)} undoes {earlier.function} before {later.function}"


@rule
def a_success_undoes_nothing(machine: Machine) -> Iterator[str]:
    for end in _ends(machine, "Succeed"):
        for visit in end.visits:
            if visit.function in COMPENSATIONS.values():
                yield f"{' > '.join(end.path)} has {visit.function}"


@rule
def each_end_leaves_the_account_and_its_address_as_they_should_be(machine: Machine) -> Iterator[str]:
    for end in _ends(machine, "Succeed", "Fail"):
        items = items_after(end.calls, "CustomersTable")
        status = ACCOUNTS.get(end.path[-1])
        there = sorted(item["status"]["S"] if "status" in item else "an address" for item in items)
        if there != sorted(([status] if status else []) + (["an address"] if status == "ACTIVE" else [])):
            yield f"{' > '.join(end.path)} leaves {there}"


@rule
def a_failure_tells_which_systems_failed_and_how(machine: Machine) -> Iterator[str]:
    for end in _ends(machine, "Fail"):
        asked = [visit for visit in end.visits if visit.function == "provision_account"]
        failed = {visit.arguments["Payload"]["system"]: _status(visit) for visit in asked if visit.error}
        cause = end.output.get("Cause", "")
        named = {
            visit.arguments["Payload"]["system"] for visit in asked if visit.arguments["Payload"]["system"] in cause
        }
        told = [
            {system["system"]: system["status"] for system in entry["Detail"].get("systems", [])}
            for visit in end.visits
            if visit.state["Resource"] == PUT_EVENTS
            for entry in visit.arguments["Entries"]
            if entry["DetailType"] == "CustomerAccountCreationFailed"
        ]
        if told != [failed] or named != failed.keys():
            yield f"{' > '.join(end.path)} tells of {told} and {named}, not of {failed}"


@rule
def a_failure_tells_nothing_personal(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        personal = typed({"customerData": walk.registration.data.model_dump()})
        for end in walk.ends:
            if end.state["Type"] == "Fail" and found(personal, str(end.output)):
                yield f"{' > '.join(end.path)}: {end.output}"


def _successful(machine: Machine) -> Iterator[tuple[str, State]]:
    """The states from which a Succeed can be reached, with their names."""
    successful = {name for name, state in machine["States"].items() if state["Type"] == "Succeed"}
    while more := {
        name
        for name, state in machine["States"].items()
        if name not in successful and any(transition.target in successful for transition in transitions(state))
    }:
        successful |= more
    yield from ((name, machine["States"][name]) for name in successful)


def _ends(machine: Machine, *types: str) -> Iterator[End]:
    for walk in walks(machine):
        yield from (end for end in walk.ends if end.state["Type"] in types)


def _compensation(done: Visit, end: End, position: int) -> int | None:
    """Where, behind its position, the visit is undone: for the same customer, and in the same system."""
    for other, visit in enumerate(end.visits):
        undoes = visit.function == COMPENSATIONS[done.function]
        if other > position and undoes and visit.arguments["Payload"].items() <= done.arguments["Payload"].items():
            return other
    return None


def _status(visit: Visit) -> str:
    return "REFUSED" if visit.error == "DownstreamRefused" else "UNAVAILABLE"
