"""Texts, identifiers and messages: what can be one, and what an error says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from onboarding.domain.models import CustomerData, CustomerId, Email, Line, Name, Phone
from onboarding.domain.registration import Registration
from onboarding.domain.tasks import CustomerTask
from tests.customers import a_customer
from tests.invocations import a_customer_task, a_registration, sample

adapter = cache(TypeAdapter)
NAME = adapter(Name)
TEXTS = {Name: "name", Line: "line", Email: "email", Phone: "phone"}
CONTROL_CHARACTERS = ["\0", "\t", "\n", "\r", "\x0b", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"]
BIDI_OVERRIDES = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"]


def reason(text: object, kind: Any = Name) -> str | None:
    """The code of the error that refuses the text, if one does."""
    try:
        adapter(kind).validate_python(text)
    except ValidationError as error:
        (details,) = error.errors()
        return details["type"]
    return None


@pytest.mark.parametrize(
    "name",
    [
        "Ada",
        " Ada ",
        "O’Faoláin d'Été",
        "李",
        "فاطمة",
        "می‌خواهم",
        "Софья",
        "👩‍🔬",
        "<b>Ada</b>",
        "$account_id {{x}}",
        "x" * 100,
    ],
)
def test_a_name_stays_as_typed(name: str) -> None:
    assert NAME.validate_python(name) == name


@pytest.mark.parametrize("kind", TEXTS, ids=TEXTS.get)
def test_a_text_is_not_empty(kind: Any) -> None:
    assert reason("", kind) == "string_too_short"


@pytest.mark.parametrize("blank", [" ", "   ", "\u00a0", "\u2003\u3000", "\u200b", "\u3164\u3164", "\u00ad", "\ufeff"])
@pytest.mark.parametrize("kind", TEXTS, ids=TEXTS.get)
def test_a_text_is_not_blank(kind: Any, blank: str) -> None:
    assert reason(blank, kind) == "blank"


@pytest.mark.parametrize(("kind", "longest"), [(Name, 100), (Line, 200), (Email, 254), (Phone, 50)], ids=TEXTS.values())
def test_a_text_has_a_greatest_length(kind: Any, longest: int) -> None:
    assert reason("x" * longest, kind) is None
    assert reason("x" * (longest + 1), kind) == "string_too_long"
    assert reason("x" * 1000, kind) == "string_too_long"


@pytest.mark.parametrize("character", CONTROL_CHARACTERS + BIDI_OVERRIDES)
def test_control_characters_line_breaks_and_bidi_overrides_are_refused_wherever_they_are(character: str) -> None:
    for text in (character, f"{character}Ada", f"A{character}da", f"Ada{character}"):
        assert reason(text) == "control_character"


def test_what_was_no_utf8_is_refused() -> None:
    assert reason("Ren\N{REPLACEMENT CHARACTER}") == "invalid_utf8"


@pytest.mark.parametrize("character", ["\ufffe", "\uffff"])
def test_what_sqs_would_refuse_is_refused(character: str) -> None:
    assert reason(f"Ada{character}") == "noncharacter"


@pytest.mark.parametrize("value", [None, 7, True, ["Ada"], {"name": "Ada"}, b"Ada\xff"])
def test_a_name_is_a_text(value: object) -> None:
    assert reason(value) in {"string_type", "string_unicode"}


class TestThePublishedPattern:
    """The rule of a text as the API's JSON Schema has it."""

    # The end of an ECMA-262 pattern is the end of the text; Python's $ is there before a last line break too.
    pattern = re.compile(NAME.json_schema()["pattern"].removesuffix("$") + r"\Z")

    def agrees(self, text: str) -> bool:
        return bool(self.pattern.search(text)) == (reason(text) is None)

    def test_agrees_on_every_character_of_the_basic_multilingual_plane(self) -> None:
        characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]

        assert [c for c in characters if not self.agrees(c)] == []
        assert [c for c in characters if not self.agrees(f"a{c}")] == []

    @given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=10))
    def test_agrees_on_any_text(self, text: str) -> None:
        assert self.agrees(text)

    def test_stands_on_every_text_of_a_customer(self) -> None:
        schema = CustomerData.model_json_schema()

        for properties in (schema["properties"], schema["$defs"]["Address"]["properties"]):
            for name, field in properties.items():
                text = field.get("anyOf", [field])[0]
                assert "$ref" in text or text["pattern"] == NAME.json_schema()["pattern"], name


@pytest.mark.parametrize("customer_id", ["a", "A-b_9", "x" * 80, "0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b10"])
def test_a_customer_id_can_name_an_execution(customer_id: str) -> None:
    assert reason(customer_id, CustomerId) is None


@pytest.mark.parametrize("customer_id", ["", "x" * 81, "a b", "a\n", "ä", "a/b", "a:b", "*"])
def test_what_cannot_name_an_execution_is_no_customer_id(customer_id: str) -> None:
    assert reason(customer_id, CustomerId) == "string_pattern_mismatch"


def test_absent_fields_stay_absent_in_json() -> None:
    customer = a_customer(address={"city": "London"})

    assert CustomerData.model_validate(customer).model_dump(by_alias=True, exclude_none=True) == customer


def test_times_are_rfc_3339_in_utc() -> None:
    registration = Registration.model_validate(a_registration(timestamp="2026-11-23T10:30:42Z"))

    assert registration.timestamp == datetime(2026, 11, 23, 10, 30, 42, tzinfo=UTC)
    assert '"timestamp":"2026-11-23T10:30:42Z"' in registration.model_dump_json(by_alias=True)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Registration.model_validate(a_registration(timestamp="2026-11-23T10:30:42"))


def test_fields_of_another_release_are_ignored() -> None:
    task = a_customer_task(customerData=a_customer(nickname="Countess"), attempt=1)

    assert CustomerTask.model_validate(task).customer_data.first_name == "Ada"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20).map("§{}\n".format))
def test_an_error_never_shows_its_input(typed: str) -> None:
    with pytest.raises(ValidationError) as raised:
        CustomerTask.model_validate({"customerId": typed, "customerData": {"firstName": typed, "phone": [typed]}})

    assert raised.value.error_count() == 6
    assert "§" not in str(raised.value)


def test_the_sample_with_all_fields_sets_every_one() -> None:
    """What a walk through the definition carries is what this sample has (tests/wiring/walk.py)."""
    customer = CustomerData.model_validate_json(sample("register_customer/phone-and-address")["body"])

    assert list(_unset(customer)) == []


def _unset(model: BaseModel) -> Iterator[str]:
    for name, value in model:
        if isinstance(value, BaseModel):
            yield from (f"{name}.{inner}" for inner in _unset(value))
        elif value is None:
            yield name
