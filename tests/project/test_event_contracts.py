"""The published contracts of the events: a reader of any released version can read every later event."""

import json
from copy import deepcopy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli.documents import compatibility
from cli.documents.compatibility import breaks, changes, rewritten, version_of
from cli.documents.event_contracts import CONTRACTS, path_of, schema
from cli.documents.generate import refuse_to_rewrite
from onboarding.domain.customer import AddressForm, RegistrationForm
from onboarding.domain.events import EVENTS, CustomerAccountCreated, CustomerValidated
from onboarding.domain.models import PERSONAL

RELEASED = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in CONTRACTS.glob("*.json")}
FILE = "functions/onboarding/domain/customer.py"
VALIDATED = schema(CustomerValidated)


def test_every_released_event_is_still_published() -> None:
    gone = {version_of(name)[0] for name in RELEASED} - EVENTS.keys()

    assert sorted(gone) == [], "put them back in functions/onboarding/domain/events.py: their consumers wait for them"


def test_newest_contract_is_that_of_the_model() -> None:
    newest = {version_of(name)[0]: name for name in sorted(RELEASED, key=version_of)}
    stale = [path_of(event).name for name, event in EVENTS.items() if path_of(event).name != newest.get(name)]

    assert stale == [], "run `make docs`; VERSION in functions/onboarding/domain/events.py is the newest in contracts/"


def test_no_version_breaks_readers_of_the_last() -> None:
    assert list(breaks(RELEASED)) == []


@pytest.mark.parametrize("name", RELEASED)
def test_contract_is_a_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(RELEASED[name])


def test_every_typed_field_is_marked_as_personal() -> None:
    for form, published in ((RegistrationForm, "CustomerData"), (AddressForm, "Address")):
        typed = {str(field.alias) for field in form.model_fields.values()} - {"address"}
        definition = VALIDATED["$defs"][published]
        lost = typed - definition["properties"].keys()
        assert not lost, f"{FILE}: put {', '.join(lost)} of {form.__name__} into {published} too"
        unmarked = typed - marked(definition)
        assert not unmarked, f"{FILE}: mark the type of {', '.join(unmarked)} in {published} as PERSONAL"
        added = marked(definition) - typed - {"fullName"}
        assert not added, f"{FILE}: put {', '.join(added)} of {published} into {form.__name__} too"
    assert marked(schema(CustomerAccountCreated)) == {"email", "name", "firstName", "lastName"}


def marked(definition: dict[str, Any]) -> set[str]:
    return {name for name, field in definition["properties"].items() if field.get(PERSONAL)}


def test_fields_may_be_absent_or_unknown() -> None:
    text = json.dumps(RELEASED)

    assert [keyword for keyword in ("null", "default", "additionalProperties") if f'"{keyword}"' in text] == []


def changed(*path: str, to: Any = None) -> dict[str, Any]:
    """The schema of CustomerValidated with one thing changed, or gone."""
    other = deepcopy(VALIDATED)
    node = other
    for key in path[:-1]:
        node = node[key]
    if to is None:
        del node[path[-1]]
    else:
        node[path[-1]] = to
    return other


LONGER = changed("properties", "channel", to={"type": "string"})
REQUIRED = [*VALIDATED["required"], "channel"]


@pytest.mark.parametrize(
    ("other", "path"),
    [
        (LONGER | {"required": REQUIRED}, "channel"),
        (changed("properties", "status"), "status"),
        (changed("properties", "status", "const", to="OK"), "status"),
        (changed("$defs", "CustomerData", "required", to=["firstName", "lastName"]), "customerData.email"),
        (changed("$defs", "Address", "properties", "city", "maxLength", to=500), "customerData.address.city"),
        (changed("additionalProperties", to=False), "the event"),
    ],
)
def test_breaking_change_needs_another_event(other: dict[str, Any], path: str) -> None:
    assert [change.path for change in changes(VALIDATED, other) if not change.is_addition] == [path]
    assert list(breaks({"CustomerValidated-1.0.json": VALIDATED, "CustomerValidated-1.1.json": other}))
    assert list(breaks({"CustomerValidated-1.0.json": VALIDATED, "CustomerValidated-2.0.json": other}))
    assert not list(breaks({"CustomerValidated-1.0.json": VALIDATED, "CustomerValidatedV2-2.0.json": other}))


def test_optional_field_is_a_minor_version() -> None:
    assert list(breaks({"CustomerValidated-1.0.json": VALIDATED, "CustomerValidated-1.1.json": LONGER})) == []
    assert [*map(str, changes(VALIDATED, LONGER))] == ["channel: is new"]


def test_descriptions_may_change() -> None:
    other = changed("$defs", "CustomerData", "properties", "email", "description", to="Where they are reached")

    assert list(changes(VALIDATED, other)) == []


def test_released_contract_that_is_gone_is_found() -> None:
    assert list(rewritten({"CustomerMoved-1.0.json": VALIDATED}, {})) == [
        "CustomerMoved-1.0.json: was released and is missing"
    ]


def test_generator_names_all_changed_events() -> None:
    texts = {path_of(event): json.dumps(schema(event) | {"type": "array"}) for event in EVENTS.values()}

    with pytest.raises(SystemExit) as refused:
        refuse_to_rewrite(texts | {CONTRACTS / "CustomerMoved-1.0.json": "{}"})  # which is new

    assert [path.name for path in texts if f"{path.name}: the event: type was" not in str(refused.value)] == []
    assert "CustomerMoved" not in str(refused.value)


def test_contracts_of_a_git_revision_can_be_read() -> None:
    gone = compatibility._at("HEAD").keys() - RELEASED.keys()
    assert not gone, f"contracts/: restore {', '.join(sorted(gone))}, or commit its removal if it isn't released yet"
