"""Texts, identifiers and messages: their limits, and what an error says."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from onboarding.domain import form
from onboarding.domain.form import RegistrationForm
from onboarding.domain.models import CustomerData, CustomerId, Email, Line, Locale, Name, Phone
from onboarding.domain.registration import Registration
from onboarding.domain.tasks import CustomerTask
from tests.customers import a_customer
from tests.invocations import a_customer_task, a_registration, sample

adapter = cache(TypeAdapter)
TEXTS = {Name: 100, Line: 200, Email: 254, Phone: 50}  # each with its greatest length
BLANKS = [" ", "\u00a0", "\u2003\u3000", "\u200b", "\u3164\u3164", "\u00ad", "\ufeff"]
CONTROL_CHARACTERS = ["\0", "\t", "\n", "\r", "\x0b", "\x1b", "\x7f", "\x85", "\x9f", "\u2028", "\u2029"]
BIDI_OVERRIDES = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"]
# Several scripts, marks, markup and a template's signs.
NAMES = [" Ada ", "O’Faoláin d'Été", "李", "فاطمة", "می‌خواهم", "Софья", "👩‍🔬", "<b>Ada</b>", "$account_id {{x}}"]
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
TAKEN_BY_SQS = re.compile("[\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
KINDS = {
    "locale": Locale,
    "country": form.OptionalCountry,
    "typed locale": form.OptionalLocale,
    "event": Name,
    "form": form.Name,
    "optional": form.OptionalName,
    "email": form.Email,
    "phone": form.OptionalPhone,
}
ALL_FIELDS = "register_customer/phone-and-address"


def reason(text: object, kind: Any = Name) -> str | None:
    """The code of the error that refuses the text, if any."""
    try:
        adapter(kind).validate_python(text)
    except ValidationError as error:
        (details,) = error.errors()
        return details["type"]
    return None


def _text(kind: Any) -> dict[str, Any]:
    """The JSON Schema of a kind of text."""
    schema: dict[str, Any] = adapter(kind).json_schema()
    return dict(schema.get("anyOf", [schema])[0])


@cache
def _pattern(kind: Any) -> re.Pattern[str]:
    # The end of an ECMA-262 pattern is the end of the text; Python's $ is there before a last line break too.
    return re.compile(_text(kind)["pattern"].removesuffix("$") + r"\Z")


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

    def agrees(self, kind: Any, text: str) -> bool:
        return bool(_pattern(kind).search(text)) == (reason(text, kind) is None)

    @pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
    def test_agrees_on_each_character(self, kind: Any) -> None:
        characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]

        for text in ("{}", "a{}", "a{}a"):
            assert [c for c in characters if not self.agrees(kind, text.format(c))] == []

    def test_is_what_sqs_takes(self) -> None:
        characters = [chr(code) for code in range(0x10000) if not 0xD800 <= code <= 0xDFFF]

        assert [c for c in characters if _pattern(Name).search(f"a{c}") and not TAKEN_BY_SQS.fullmatch(c)] == []

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
    @given(text=st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=10))
    def test_agrees_on_any_text(self, kind: Any, text: str) -> None:
        assert self.agrees(kind, text)

    @pytest.mark.parametrize("model", [CustomerData, RegistrationForm])
    def test_covers_every_text_of_a_customer(self, model: type[BaseModel]) -> None:
        schema = model.model_json_schema()
        without = {
            name
            for each in (schema, *schema["$defs"].values())
            for name, field in each["properties"].items()
            if (text := field.get("anyOf", [field])[0]).get("type") == "string"
            and "format" not in text  # a date's says what it is
            and text.get("pattern") not in {_text(kind)["pattern"] for kind in KINDS.values()}
        }

        assert not without, f"domain/models.py: give {without} a type of KINDS, or add its type to KINDS here"


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


def test_fullest_sample_sets_every_field() -> None:
    """The walk through the definition carries this sample's fields (tests/wiring/walk.py)."""
    customer = RegistrationForm.model_validate_json(sample(ALL_FIELDS)["body"]).model_dump(by_alias=True)

    assert not (unset := [*_unset(customer)]), f"events/{ALL_FIELDS}.json: set {', '.join(unset)} in its body"


def _unset(document: dict[str, Any]) -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in _unset(value))
        elif value is None:
            yield name
