"""Texts, identifiers and messages: their limits, and what an error says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import TypeAdapter, ValidationError

from onboarding.domain.customer import (
    KEPT_HERE,
    SENT_DOWNSTREAM,
    Address,
    AddressForm,
    CustomerData,
    Email,
    Line,
    Name,
    Phone,
    RegistrationForm,
)
from onboarding.domain.models import CustomerId
from onboarding.domain.registration import Registration
from onboarding.domain.tasks import CustomerTask
from tests.customers import a_customer
from tests.invocations import a_customer_task, a_registration

FILE = "functions/onboarding/domain/customer.py"
adapter = cache(TypeAdapter)
TEXTS = {Name: 100, Line: 200, Email: 254, Phone: 50}  # each with its greatest length
BLANKS = [" ", "\u00a0", "\u2003\u3000", "\u200b", "\u3164\u3164", "\u00ad", "\ufeff"]
CONTROL_CHARACTERS = ["\0", "\t", "\n", "\r", "\x0b", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"]
BIDI_OVERRIDES = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"]
# Several scripts, marks, markup and a template's signs.
NAMES = [" Ada ", "O’Faoláin d'Été", "李", "فاطمة", "می‌خواهم", "Софья", "👩‍🔬", "<b>Ada</b>", "$account_id {{x}}"]
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
TAKEN_BY_SQS = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
# Texts and numbers that Pydantic takes for a day, a time, a number or a truth value, where it is not strict.
ODD = [0, 1, 1.5, 86400, True, "0", "1", "1.0", "1.5", "true", "yes", "1985-12-10", "1985-12-10T00:00:00Z", "", [], {}]


def reason(text: object, kind: Any = Name) -> str | None:
    """The code of the error that refuses the text, if any."""
    try:
        adapter(kind).validate_python(text)
    except ValidationError as error:
        (details,) = error.errors()
        return details["type"]
    return None


@dataclass(frozen=True)
class Field:
    """A field that holds no model: its type, and its JSON Schema."""

    kind: Any
    schema: dict[str, Any]

    @cached_property
    def text(self) -> dict[str, Any]:
        """The JSON Schema of its text, also where that is optional."""
        return dict(self.schema.get("anyOf", [self.schema])[0])

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        # The end of an ECMA-262 pattern is the end of the text; Python's $ is there before a last line break too.
        return re.compile(self.text["pattern"].removesuffix("$") + r"\Z")


def _fields() -> Iterator[tuple[str, Field]]:
    for model in (CustomerData, Address, RegistrationForm, AddressForm):
        for name, schema in model.model_json_schema()["properties"].items():
            (field,) = (field for field in model.model_fields.values() if field.alias == name)
            if "$ref" not in str(schema):
                yield f"{model.__name__}.{name}", Field(Annotated[field.annotation, name, *field.metadata], schema)


FIELDS = dict(_fields())
# One field of each pattern and validator.
TEXTS_BY_RULE = {
    (field.text["pattern"], *re.findall(r"<function (\w+)", str(field.kind))): name
    for name, field in FIELDS.items()
    if "pattern" in field.text
}
each_text = pytest.mark.parametrize("name", TEXTS_BY_RULE.values())


def test_each_text_has_a_pattern() -> None:
    without = {name for name, field in FIELDS.items() if field.text.get("type") == "string"} - {
        name for name, field in FIELDS.items() if field.text.keys() & {"pattern", "enum", "const"}
    }

    assert not without, f"{FILE}: give {', '.join(without)} a type that has a pattern"


@pytest.mark.parametrize("name", FIELDS)
def test_field_takes_what_its_schema_says(name: str) -> None:
    """In Python as in JSON: Pydantic would take a number for a day, or a text for a number."""
    kind = FIELDS[name].kind
    validator = Draft202012Validator(FIELDS[name].schema, format_checker=FormatChecker())

    taken = [value for value in ODD if reason(value, kind) is None and not validator.is_valid(value)]
    assert not taken, f"{FILE}: make the type of {name} strict, since it takes {taken}, and its JSON Schema doesn't"


def test_each_field_is_sent_downstream_or_kept() -> None:
    decided = [*SENT_DOWNSTREAM, *KEPT_HERE]

    undecided = [name for name in CustomerData.model_fields if decided.count(name) != 1]
    assert not undecided, f"{FILE}: put {', '.join(undecided)} in either SENT_DOWNSTREAM or KEPT_HERE"
    assert not (gone := set(decided) - CustomerData.model_fields.keys()), f"{FILE}: there is no field {gone}"


@pytest.mark.parametrize("name", NAMES)
def test_name_stays_as_typed(name: str) -> None:
    assert adapter(Name).validate_python(name) == name


@pytest.mark.parametrize(("kind", "longest"), TEXTS.items())
def test_blank_or_long_text_is_refused(kind: Any, longest: int) -> None:
    assert reason("", kind) == "string_too_short"
    assert {reason(blank, kind) for blank in BLANKS} == {"blank"}
    assert reason("x" * longest, kind) is None
    assert reason("x" * (longest + 1), kind) == "string_too_long"


@pytest.mark.parametrize(
    ("characters", "code"),
    [
        (CONTROL_CHARACTERS + BIDI_OVERRIDES, "control_character"),
        (["\ufffe", "\uffff"], "noncharacter"),
        (["\N{REPLACEMENT CHARACTER}"], "invalid_utf8"),
    ],
)
def test_bad_character_is_refused_anywhere(characters: list[str], code: str) -> None:
    texts = [text.format(one) for one in characters for text in ("{}", "{}Ada", "A{}da", "Ada{}")]

    assert {text: reason(text) for text in texts} == dict.fromkeys(texts, code)


class TestThePublishedPattern:
    """The rule of a text as a JSON Schema has it: an event's, and the API's."""

    def agrees(self, field: Field, text: str) -> bool:
        # Which domains are misspelt is beyond a pattern.
        matches, is_taken = bool(field.pattern.search(text)), reason(text, field.kind) in {None, "domain_misspelt"}
        return matches == is_taken or (matches and max(text) > "\uffff")

    @each_text
    def test_agrees_on_each_character(self, name: str) -> None:
        characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]

        for text in ("{}", "a{}", "a{}a"):
            assert [c for c in characters if not self.agrees(FIELDS[name], text.format(c))] == []

    def test_is_what_sqs_takes(self) -> None:
        characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]

        pattern = FIELDS["CustomerData.firstName"].pattern
        assert [c for c in characters if pattern.search(f"a{c}") and not TAKEN_BY_SQS.fullmatch(c)] == []

    @pytest.mark.slow
    @each_text
    @given(text=st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=10))
    def test_agrees_on_any_text(self, name: str, text: str) -> None:
        assert self.agrees(FIELDS[name], text)


def test_customer_id_can_name_an_execution() -> None:
    names = ["a", "A-b_9", "x" * 80, "0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b10"]
    no_names = ["", "x" * 81, "a b", "a\n", "ä", "a/b", "a:b", "*"]

    assert [name for name in names if reason(name, CustomerId)] == []
    assert {reason(name, CustomerId) for name in no_names} == {"string_pattern_mismatch"}


def test_times_are_rfc_3339_in_utc() -> None:
    registration = Registration.model_validate(a_registration(timestamp="2026-11-23T10:30:42Z"))

    assert registration.timestamp == datetime(2026, 11, 23, 10, 30, 42, tzinfo=UTC)
    assert '"timestamp":"2026-11-23T10:30:42Z"' in registration.model_dump_json(by_alias=True)
    with pytest.raises(ValidationError, match="timezone"):
        Registration.model_validate(a_registration(timestamp="2026-11-23T10:30:42"))


def test_unknown_fields_are_ignored() -> None:
    task = a_customer_task(customerData=a_customer(nickname="Countess"), attempt=1)

    assert CustomerTask.model_validate(task).customer_data.first_name == "Ada"


def test_error_never_shows_its_input() -> None:
    with pytest.raises(ValidationError) as raised:
        CustomerTask.model_validate({"customerId": "§ \n", "customerData": {"firstName": "§\n", "phone": ["§"]}})

    assert raised.value.error_count() == 6
    assert "§" not in str(raised.value)
