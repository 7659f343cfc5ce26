"""The published contracts of the events: a reader of any released version reads what is published, and what was."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator, validate
from pydantic import AwareDatetime

from cli.documents import compatibility
from cli.documents.compatibility import Version, breaks, changes, rewritten
from cli.documents.event_contracts import CONTRACTS, asyncapi, path_of, schema
from cli.documents.generate import refuse_to_rewrite
from onboarding.domain.events import EVENTS, CustomerAccountCreated, CustomerValidated, Event
from onboarding.domain.models import PERSONAL, CustomerData

RELEASED = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in CONTRACTS.glob("*.json")}
VALIDATED = schema(CustomerValidated)
AT = datetime(2026, 11, 23, 10, 30, 42, tzinfo=UTC)


def test_every_released_event_is_still_published_in_a_version_of_its_major() -> None:
    present = {(name, int(event.VERSION.partition(".")[0])) for name, event in EVENTS.items()}

    assert {Version.of(name)[:2] for name in RELEASED} == present


def test_the_newest_schema_of_an_event_is_that_of_its_model() -> None:
    newest = {Version.of(name).event: name for name in sorted(RELEASED, key=Version.of)}

    assert newest == {name: path_of(event).name for name, event in EVENTS.items()}


def test_no_released_version_breaks_the_readers_of_the_one_before() -> None:
    assert list(breaks(RELEASED)) == []


@pytest.mark.parametrize("name", RELEASED)
def test_a_contract_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(RELEASED[name])


def test_every_field_that_a_customer_typed_is_marked_as_personal() -> None:
    customer = {name for name in CustomerData.model_json_schema()["properties"] if name != "address"}
    address = set(VALIDATED["$defs"]["Address"]["properties"])

    for definition, fields in (("CustomerData", customer), ("Address", address)):
        properties = VALIDATED["$defs"][definition]["properties"]
        assert {name for name, field in properties.items() if field.get(PERSONAL)} == fields
    account = schema(CustomerAccountCreated)["properties"]
    assert {name for name, field in account.items() if field.get(PERSONAL)} == {"email", "name"}


def test_an_optional_field_is_absent_and_never_null() -> None:
    assert '"null"' not in json.dumps(RELEASED)
    assert '"default"' not in json.dumps(RELEASED)


def test_unknown_fields_are_allowed_so_that_a_minor_version_may_add_some() -> None:
    assert "additionalProperties" not in json.dumps(RELEASED)


def test_the_asyncapi_document_has_a_message_for_each_event_and_leads_to_its_schema() -> None:
    document = json.loads(asyncapi())
    messages = document["components"]["messages"]

    assert document["channels"]["eventBus"]["messages"].keys() == messages.keys() == EVENTS.keys()
    for message in messages.values():
        reference = message["payload"]["schema"]["properties"]["detail"]["$ref"]
        assert (CONTRACTS.parent / "docs" / reference).resolve().is_file()


def changed(*path: str, to: Any = None) -> dict[str, Any]:
    """The schema of CustomerValidated with one thing other than it is, or gone."""
    other = deepcopy(VALIDATED)
    node = other
    for key in path[:-1]:
        node = node[key]
    if to is None:
        del node[path[-1]]
    else:
        node[path[-1]] = to
    return other


@pytest.mark.parametrize(
    ("other", "path"),
    [
        (changed("properties", "status"), "status"),
        (changed("properties", "status", to={"type": "integer"}), "status"),
        (changed("properties", "status", "const", to="OK"), "status"),
        (changed("$defs", "CustomerData", "properties", "lastName"), "customerData.lastName"),
        (changed("$defs", "CustomerData", "properties", "lastName", "maxLength", to=500), "customerData.lastName"),
        (changed("$defs", "CustomerData", "required", to=["firstName", "lastName"]), "customerData.email"),
        (changed("$defs", "Address", "required", to=["city"]), "customerData.address.city"),
        (changed("required", to=["customerId", "metadata", "customerData"]), "status"),
        (changed("additionalProperties", to=False), "the event"),
    ],
)
def test_what_would_break_a_reader_is_found(other: dict[str, Any], path: str) -> None:
    broken = list(changes(VALIDATED, other))

    assert path in {change.path for change in broken}
    assert not all(change.is_addition for change in broken)
    assert list(breaks({"CustomerValidated-1.0.json": VALIDATED, "CustomerValidated-1.1.json": other}))


def test_a_reason_that_is_new_breaks_those_who_know_them_all() -> None:
    old = schema(EVENTS["WelcomeEmailFailed"])
    new = deepcopy(old)
    new["properties"]["reason"]["enum"].append("LOST")

    assert [change.path for change in changes(old, new)] == ["reason"]


def test_what_is_for_people_may_change_at_any_time() -> None:
    other = changed("description", to="Otherwise")
    other["$defs"]["CustomerData"]["properties"]["email"]["description"] = "Where they are reached"

    assert list(changes(VALIDATED, other)) == []


def test_a_released_file_that_is_changed_or_gone_is_found() -> None:
    name = "CustomerValidated-1.0.json"

    assert list(rewritten({name: VALIDATED}, {name: VALIDATED})) == []
    assert list(rewritten({name: VALIDATED}, {})) == [f"{name}: was released, and is gone"]
    assert list(rewritten({name: VALIDATED}, {name: changed("properties", "status")}))


def test_the_generator_refuses_to_rewrite_what_was_released() -> None:
    path = path_of(CustomerValidated)

    refuse_to_rewrite(path, json.dumps(changed("description", to="Otherwise")))
    with pytest.raises(SystemExit, match=r"status: is gone"):
        refuse_to_rewrite(path, json.dumps(changed("properties", "status")))


def test_the_contracts_of_a_git_revision_can_be_compared() -> None:
    assert compatibility._at("HEAD").keys() <= RELEASED.keys()


class TestAnEventEvolves:
    """As the README tells it: a field is added, then one that readers can't do without changes its type."""

    def released(self) -> dict[str, Any]:
        class CustomerMoved(Event):
            """A customer has another address."""

            city: str

        return schema(CustomerMoved)

    def test_with_an_optional_field_as_a_minor_version(self) -> None:
        class CustomerMoved(Event):
            """A customer has another address."""

            VERSION = "1.1"
            city: str
            moved_at: AwareDatetime | None = None

        versions = {"CustomerMoved-1.0.json": self.released(), "CustomerMoved-1.1.json": schema(CustomerMoved)}
        new = CustomerMoved.of("ada", correlation_id="request", occurred_at=AT, city="Paris", moved_at=AT)

        assert list(breaks(versions)) == []
        for version in versions.values():
            validate(json.loads(new.model_dump_json(by_alias=True, exclude_none=True)), version)

    def test_but_not_with_a_required_one(self) -> None:
        class CustomerMoved(Event):
            """A customer has another address."""

            VERSION = "1.1"
            city: str
            country: str

        versions = {"CustomerMoved-1.0.json": self.released(), "CustomerMoved-1.1.json": schema(CustomerMoved)}

        assert list(breaks(versions)) == ["CustomerMoved-1.1.json: country: is new and required"]

    def test_as_another_event_beside_it_where_a_type_changes(self) -> None:
        class CustomerMovedV2(Event):
            """A customer has another address; `city` is a code."""

            VERSION = "2.0"
            city: Literal["PAR", "LON"]

        beside = {"CustomerMoved-1.0.json": self.released(), "CustomerMovedV2-2.0.json": schema(CustomerMovedV2)}
        instead = {"CustomerMoved-1.0.json": self.released(), "CustomerMoved-2.0.json": schema(CustomerMovedV2)}

        assert list(breaks(beside)) == []
        assert any("another major version is another event" in line for line in breaks(instead))
