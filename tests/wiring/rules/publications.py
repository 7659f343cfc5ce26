"""What the workflow publishes: exactly the contract of onboarding/domain/events.py."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from cli.documents.event_contracts import CONTRACTS
from onboarding.domain.events import EVENTS, SOURCE, CustomerErased, CustomerFraudSuspected
from onboarding.domain.validation import validate
from tests.in_process import template
from tests.unit.personal_data import found
from tests.wiring.definition import PUT_EVENTS, Machine, tasks
from tests.wiring.rules.registry import rule
from tests.wiring.walk import ENTERED_TIME, End, Visit, Walk, walks

# What a consumer publishes, and what the erasure does; the onboarding doesn't.
BY_CONSUMERS = {CustomerFraudSuspected.__name__}
BY_THE_ERASURE = {CustomerErased.__name__}


def entries(*visits: Visit) -> list[dict[str, Any]]:
    """The entries that a state puts on a bus."""
    return [entry for it in visits if it.state["Resource"] == PUT_EVENTS for entry in it.arguments["Entries"]]


def publications(machine: Machine) -> Iterator[tuple[Walk, str, dict[str, Any]]]:
    """Each entry that any path puts on a bus, with its state."""
    for walk in walks(machine):
        for visit in walk.visits:
            yield from ((walk, visit.name, entry) for entry in entries(visit))


def breaches(name: str, entry: dict[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an entry of a state, for the execution's input: the bus, the contract, the metadata."""
    buses = {template.name_of(logical_id) for logical_id in template.resources("AWS::Events::EventBus")}
    detail, event = entry["Detail"], EVENTS.get(entry["DetailType"])
    if entry.get("Source") != SOURCE or entry.get("EventBusName") not in buses:
        yield f"{name}: Source or EventBusName is not ours: {entry.get('Source')}, {entry.get('EventBusName')}"
    if not event:
        yield f"{name} publishes {entry['DetailType']}, which is not in onboarding/domain/events.py"
        return
    try:
        event.model_validate_json(json.dumps(detail), extra="forbid", by_name=False, strict=True)
    except ValidationError as error:
        yield f"{name}: {error}"
    expected = {
        "eventId": f"{given['customerId']}:{entry['DetailType']}",  # a repetition has the same
        "schemaVersion": event.VERSION,
        "correlationId": given["correlationId"],
        "occurredAt": ENTERED_TIME,
    }
    metadata = detail.get("metadata", {})
    for key in sorted(metadata.keys() | expected.keys()):
        if metadata.get(key) != expected.get(key):
            yield f"{name}: metadata.{key} is {metadata.get(key)}, not {expected.get(key)}"
    if detail.get("customerId") != given["customerId"]:
        yield f"{name}: customerId is another customer's"
    if "registeredAt" in detail and detail["registeredAt"] != given["timestamp"]:
        yield f"{name}: registeredAt is not when the API accepted the registration"


@rule
def each_publication_keeps_its_contract(machine: Machine) -> Iterator[str]:
    for walk, name, entry in publications(machine):
        yield from breaches(name, entry, walk.registration.model_dump(mode="json", by_alias=True))


@rule
def each_publication_fits_released_schemas(machine: Machine) -> Iterator[str]:
    for _, name, entry in publications(machine):
        for contract in CONTRACTS.glob(f"{entry['DetailType']}-*.json"):
            schema = json.loads(contract.read_text(encoding="utf-8"))
            problems = Draft202012Validator(schema).iter_errors(entry["Detail"])
            yield from (f"{name}, {contract.name}: {problem.message}" for problem in problems)


@rule
def after_validation_the_customer_is_normalised(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        raw, normalised = (
            it.model_dump(mode="json", by_alias=True, exclude_none=True)
            for it in (walk.registration.data, validate(walk.registration.data))
        )
        changed = {value for name, value in raw.items() if isinstance(value, str) and value != normalised[name]}
        for end in walk.ends:
            validated = [visit.function == "validate_customer" and not visit.error for visit in end.visits]
            for visit in end.visits[validated.index(True) + 1 :] if any(validated) else ():
                sent = [visit.arguments.get("Payload", {}), *(entry["Detail"] for entry in entries(visit))]
                customers = [it["customerData"] for it in sent if "customerData" in it]
                if found(changed, str(sent)) or any(customer != normalised for customer in customers):
                    yield f"{visit.name} sends the customer as typed, not the $customer that is normalised"


@rule
def each_event_is_published_once(machine: Machine) -> Iterator[str]:
    entries_of = (state["Arguments"]["Entries"] for _, state in tasks(machine, PUT_EVENTS))
    published = {entry["DetailType"] for its_entries in entries_of for entry in its_entries}
    for event in EVENTS.keys() - published - BY_CONSUMERS - BY_THE_ERASURE:
        yield f"no state publishes {event} of onboarding/domain/events.py, and BY_CONSUMERS doesn't name it"
    for end in ends(machine):
        types = [entry["DetailType"] for entry in entries(*end.visits)]
        yield from (f"{' > '.join(end.path)}: publishes {one} twice" for one in set(types) if types.count(one) > 1)


@rule
def each_path_publishes_first_and_last(machine: Machine) -> Iterator[str]:
    for end in ends(machine):
        publishing = {visit.name for visit in end.visits if entries(visit) and not visit.error}
        if not {end.path[0], *end.path[-2:-1]} <= publishing and not end.meets_an_erasure:
            yield f"{' > '.join(end.path)}: its first or last task publishes no event"


def ends(machine: Machine) -> Iterator[End]:
    """The ends of all paths."""
    for walk in walks(machine):
        yield from walk.ends
