"""The account exists in every downstream system or in none, and each execution ends as its output says."""

import re
from collections.abc import Iterator
from itertools import combinations

from cli.documents.workflow_picture import inner_machines
from tests.in_process.functions import COMPENSATIONS, deployed
from tests.unit.personal_data import found, typed
from tests.wiring.calls import items_after
from tests.wiring.definition import INVOKE, Machine, tasks
from tests.wiring.permissions import called
from tests.wiring.rules.publications import ends, entries
from tests.wiring.rules.registry import rule
from tests.wiring.walk import End, Visit, walks


@rule
def only_a_refusal_is_compensated(machine: Machine) -> Iterator[str]:
    # It is caught on the Map, which ends the other iterations. Any other error is retried, then fails the execution.
    for name, state in machine["States"].items():
        for _, task in (each for inner in inner_machines(state) for each in tasks(inner, INVOKE)):
            function = deployed().get(task["Arguments"]["FunctionName"])
            if function and function.package in COMPENSATIONS:
                caught = [error for catcher in state.get("Catch", []) for error in catcher["ErrorEquals"]]
                if caught != ["DownstreamRefused"] or "Catch" in task:
                    yield f"{name} catches {caught}, and an iteration {task.get('Catch')}"


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
            elif _has_effects(visit):
                yield f"{' > '.join(end.path)}: nothing undoes {visit.function}"
        for (earlier, first), (later, second) in combinations(undone, 2):
            if earlier.function != later.function and first < second:
                yield f"{' > '.join(end.path)} undoes {earlier.function} before {later.function}"


@rule
def each_success_says_what_became_of_the_customer(machine: Machine) -> Iterator[str]:
    """The output has the end's name as its status, the account, if any, and a reason if something is missing."""
    for walk in walks(machine):
        for end in walk.ends:
            if end.state["Type"] != "Succeed":
                continue
            published = [entry["Detail"] for entry in entries(*end.visits)]
            expected = {
                "customerId": walk.registration.customer_id,
                "status": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", end.path[-1]).upper(),
                "accountId": next((detail["accountId"] for detail in published if "accountId" in detail), None),
                "reason": published[-1].get("reason", published[-1].get("status")) if published else None,
            }
            expected |= {"reason": None} if end.meets_an_erasure else {}
            expected = {key: value for key, value in expected.items() if value is not None}
            if end.output != expected:
                yield f"{' > '.join(end.path)}: the output is {end.output}, not {expected}"


@rule
def each_end_leaves_the_account_as_it_should_be(machine: Machine) -> Iterator[str]:
    for end in _ends(machine, "Succeed", "Fail"):
        created = any(visit.function == "create_account" and not visit.error for visit in end.visits)
        onboarded = end.path[-1].startswith("Onboarded")
        expected = ["ACTIVE", "an address"] if onboarded else ["CANCELLED"] if created else []
        expected = ["ERASED"] if end.path[-1] == "Erased" and not end.meets_an_erasure else expected
        items = items_after(end.calls, "CustomersTable")
        there = sorted(item["status"]["S"] if "status" in item else "an address" for item in items)
        if there != expected:
            yield f"{' > '.join(end.path)} leaves {there}, not {expected}"


@rule
def a_failure_tells_which_systems_failed_and_how(machine: Machine) -> Iterator[str]:
    for end in _ends(machine, "Fail"):
        asked = [visit for visit in end.visits if visit.function == "provision_account"]
        failed = {visit.arguments["Payload"]["system"]: "REFUSED" for visit in asked if visit.error}
        error, cause = str(end.output.get("Error", "")), str(end.output.get("Cause", ""))
        systems = {visit.arguments["Payload"]["system"] for visit in asked}
        published = [
            {system["system"]: system["status"] for system in entry["Detail"].get("systems", [])}
            for entry in entries(*end.visits)
            if entry["DetailType"] == "CustomerAccountCreationFailed"
        ]
        if not error or published != [failed] or {system for system in systems if system in cause} != failed.keys():
            yield f"{' > '.join(end.path)} publishes {published} and ends in {error}: {cause}, not {failed}"


@rule
def a_failure_tells_nothing_personal(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        personal = typed({"customerData": walk.registration.data.model_dump()})
        for end in walk.ends:
            if end.state["Type"] == "Fail" and found(personal, str(end.output)):
                yield f"{' > '.join(end.path)}: {end.output}"


def _ends(machine: Machine, *types: str) -> Iterator[End]:
    yield from (end for end in ends(machine) if end.state["Type"] in types)


def _compensation(done: Visit, end: End, position: int) -> int | None:
    """Where the visit is undone later: for the same customer and in the same system."""
    for other, visit in enumerate(end.visits):
        undoes = visit.function == COMPENSATIONS[done.function] and not visit.error
        if other > position and undoes and visit.arguments["Payload"].items() <= done.arguments["Payload"].items():
            return other
    return None


def _has_effects(visit: Visit) -> bool:
    """Whether a function does something that must be undone: not if it only reads, asks a customer, or undoes."""
    if visit.state["Resource"] != INVOKE or visit.function in COMPENSATIONS.values():
        return False
    reading = re.compile(r"\w+:(Get|Query|Describe)")
    return any(not reading.match(it.action) for it in called(deployed()[visit.arguments["FunctionName"]]))
