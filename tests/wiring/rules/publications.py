"""What the workflow publishes: the contract of onboarding/domain/events.py, to the letter."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from cli.documents.event_contracts import path_of
from onboarding.domain.events import EVENTS, SOURCE, CustomerFraudSuspected, Event
from tests.wiring import template
from tests.wiring.definition import PUT_EVENTS, Machine
from tests.wiring.rules.registry import rule
from tests.wiring.walk import ENTERED_TIME, Walk, walks

# What a consumer publishes, and the workflow knows nothing of.
BY_CONSUMERS = {CustomerFraudSuspected.__name__}


def publications(machine: Machine) -> Iterator[tuple[Walk, str, dict[str, Any]]]:
    """Each entry that is put on a bus on any path, with the state that does it."""
    for walk in walks(machine):
        for visit in walk.visits:
            if visit.state["Resource"] == PUT_EVENTS:
                for entry in visit.arguments["Entries"]:
                    yield walk, visit.name, entry


@rule
def each_publication_is_an_event_of_the_contract(machine: Machine) -> Iterator[str]:
    for _, name, entry in publications(machine):
        if entry["DetailType"] not in EVENTS:
            yield f"{name} publishes {entry['DetailType']}"


@rule
def each_event_of_the_contract_is_published(machine: Machine) -> Iterator[str]:
    published = {entry["DetailType"] for _, _, entry in publications(machine)} | BY_CONSUMERS
    yield from (f"nothing publishes {event}" for event in EVENTS if event not in published)


@rule
def each_publication_has_the_source_of_the_contract(machine: Machine) -> Iterator[str]:
    for _, name, entry in publications(machine):
        if entry.get("Source") != SOURCE:
            yield f"{name} publishes from {entry.get('Source')}"


@rule
def each_publication_goes_to_the_template_s_bus(machine: Machine) -> Iterator[str]:
    buses = {template.name_of(logical_id) for logical_id in template.resources("AWS::Events::EventBus")}
    for _, name, entry in publications(machine):
        if entry.get("EventBusName") not in buses:
            yield f"{name} publishes to {entry.get('EventBusName', 'the default bus')}"


@rule
def each_detail_is_what_the_contract_says_and_no_more(machine: Machine) -> Iterator[str]:
    for _, name, entry in publications(machine):
        if model := EVENTS.get(entry["DetailType"]):
            try:
                model.model_validate_json(json.dumps(entry["Detail"]), extra="forbid", by_name=False)
            except ValidationError as error:
                yield f"{name}: {error}"
            for problem in _contract(model).iter_errors(entry["Detail"]):
                yield f"{name}: {problem.json_path}: {problem.message}"
            if _metadata(entry).get("schemaVersion") != model.VERSION:
                yield f"{name}: the schemaVersion is {_metadata(entry).get('schemaVersion')}, not {model.VERSION}"


@rule
def each_event_has_an_id_that_a_repetition_has_too(machine: Machine) -> Iterator[str]:
    for walk, name, entry in publications(machine):
        expected = f"{walk.registration.customer_id}:{entry['DetailType']}"
        if _metadata(entry).get("eventId") != expected:
            yield f"{name}: the eventId is {_metadata(entry).get('eventId')}, not {expected}"


@rule
def each_event_tells_of_its_registration_and_when_it_happened(machine: Machine) -> Iterator[str]:
    for walk, name, entry in publications(machine):
        told = (entry["Detail"].get("customerId"), _metadata(entry).get("correlationId"))
        if told != (walk.registration.customer_id, walk.registration.correlation_id):
            yield f"{name} tells of another registration"
        if _metadata(entry).get("occurredAt") != ENTERED_TIME:
            yield f"{name}: occurredAt is not the state's EnteredTime"
        accepted_at = walk.registration.model_dump(mode="json")["timestamp"]
        if entry["Detail"].get("registeredAt", accepted_at) != accepted_at:
            yield f"{name}: registeredAt is not when the API accepted the registration"


@rule
def no_path_publishes_an_event_twice(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        for end in walk.ends:
            types = [
                entry["DetailType"]
                for visit in end.visits
                if visit.state["Resource"] == PUT_EVENTS
                for entry in visit.arguments["Entries"]
            ]
            yield from (f"{' > '.join(end.path)}: {one} twice" for one in set(types) if types.count(one) > 1)


@rule
def each_path_publishes_at_its_first_and_at_its_last_transition(machine: Machine) -> Iterator[str]:
    for walk in walks(machine):
        publishing = {visit.name for visit in walk.visits if visit.state["Resource"] == PUT_EVENTS}
        for end in walk.ends:
            if not {end.path[0], end.path[-2]} <= publishing:
                yield f"{' > '.join(end.path)}: begins or ends unheard"


@cache
def _contract(event: type[Event]) -> Draft202012Validator:
    """The published schema of the event."""
    return Draft202012Validator(json.loads(path_of(event).read_text(encoding="utf-8")))


def _metadata(entry: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = entry["Detail"].get("metadata", {})
    return metadata
