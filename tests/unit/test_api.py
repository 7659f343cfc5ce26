"""What the API takes, and what it answers to the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from hypothesis import given
from hypothesis import strategies as st

from onboarding.domain.registration import Accepted, RegistrationRequest
from onboarding.runtime.api import (
    MAX_BODY_BYTES,
    Problem,
    RequestRefused,
    endpoint,
    parse_request,
    respond,
    title,
)
from tests.customers import a_customer
from tests.invocations import Context, an_api_request, sample

NESTED_TOO_DEEPLY = '{"firstName":' * 1000


def answer_to(request: dict[str, Any]) -> RegistrationRequest | Problem:
    try:
        return parse_request(request)
    except RequestRefused as refused:
        return refused.problem


def refusal(request: dict[str, Any]) -> Problem:
    problem = answer_to(request)
    assert isinstance(problem, Problem)
    return problem


def field_errors(request: dict[str, Any]) -> list[tuple[str, str]]:
    """Field and code of each error of a 400."""
    problem = refusal(request)
    assert problem.status == HTTPStatus.BAD_REQUEST
    assert problem.detail == "The registration is not valid: see errors"
    return [(error["field"], error["code"]) for error in problem.errors or []]


def test_a_customer_is_taken_as_typed() -> None:
    customer = a_customer(firstName=" <b>Ada</b> ", phone="020 7946 0958", address={"city": "London"})

    request = parse_request(an_api_request(customer))

    assert request.customer.model_dump(by_alias=True, exclude_none=True) == customer
    assert request.idempotency_key is None


def test_a_body_in_base64_is_taken() -> None:
    customer = a_customer(firstName="Zoë")

    request = parse_request(an_api_request(json.dumps(customer, ensure_ascii=False).encode()))

    assert request.customer.model_dump(by_alias=True, exclude_none=True) == customer


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_is_taken(content_type: str) -> None:
    assert parse_request(an_api_request(a_customer(), content_type=content_type)).customer.first_name == "Ada"


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json, application/json"],
)
def test_another_content_type_is_refused(content_type: str) -> None:
    assert refusal(an_api_request(a_customer(), content_type=content_type)) == Problem(
        title=title(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        status=415,
        detail="Content-Type must be application/json",
    )


@pytest.mark.parametrize("headers", [{}, None], ids=["no header", "no headers at all"])
def test_a_missing_content_type_is_refused(headers: dict[str, str] | None) -> None:
    assert refusal(an_api_request(a_customer()) | {"headers": headers}).status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("as_base64", [False, True])
def test_a_body_has_at_most_16_kib(*, as_base64: bool) -> None:
    body = json.dumps(a_customer(firstName="Zoë"), ensure_ascii=False)
    largest = body + " " * (16 * 1024 - len(body.encode()))

    assert parse_request(an_api_request(largest.encode() if as_base64 else largest)).customer.first_name == "Zoë"
    assert refusal(an_api_request(f"{largest} ".encode() if as_base64 else f"{largest} ")) == Problem(
        title=title(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        status=413,
        detail=f"The body must be at most {MAX_BODY_BYTES} bytes",
    )


def test_the_size_of_a_body_is_in_bytes() -> None:
    assert refusal(an_api_request("ë" * (MAX_BODY_BYTES // 2 + 1))).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize(
    "body",
    [
        "",
        "firstName=Ada",
        "{'firstName': 'Ada'}",
        '{"firstName": "Ada",}',
        '{"firstName": "Ada"} trailing',
        '{"firstName": "\\ud800"}',
        '{"firstName": "\ud800"}',
        '{"firstName": "Ada\n"}',
        b'{"firstName": "Ren\xe9"}',
        b"\xff\xfe{\x00}\x00",
        b"\0",
        NESTED_TOO_DEEPLY,
    ],
    ids=[
        "empty",
        "a form",
        "single quotes",
        "a trailing comma",
        "trailing text",
        "an escaped lone surrogate",
        "a lone surrogate",
        "a raw line break",
        "latin-1",
        "utf-16",
        "a null byte",
        "nested too deeply",
    ],
)
def test_what_is_no_json_is_refused(body: str | bytes) -> None:
    assert field_errors(an_api_request(body)) == [("body", "json_invalid")]


def test_a_request_without_a_body_is_refused() -> None:
    assert field_errors(an_api_request("") | {"body": None}) == [("body", "json_invalid")]


@pytest.mark.parametrize("document", [None, True, 7, "Ada", [], [{}]], ids=json.dumps)
def test_what_is_no_object_is_refused(document: object) -> None:
    assert field_errors(an_api_request(json.dumps(document))) == [("body", "model_type")]


def test_every_missing_field_is_named() -> None:
    assert field_errors(an_api_request({})) == [("firstName", "missing"), ("lastName", "missing"), ("email", "missing")]


@pytest.mark.parametrize("field", ["phnoe", "first_name", "customerId", "постскриптум"])
def test_a_misspelt_field_is_named(field: str) -> None:
    assert field_errors(an_api_request(a_customer() | {field: "Ada"})) == [(field, "extra_forbidden")]


@pytest.mark.parametrize("field", ["zip", "postal_code", "PostalCode"])
def test_a_misspelt_field_of_the_address_is_named(field: str) -> None:
    assert field_errors(an_api_request(a_customer(address={field: "SW1Y 4JH"}))) == [
        (f"address.{field}", "extra_forbidden")
    ]


def test_the_name_of_a_misspelt_field_is_answered_cut_to_a_hundred_letters() -> None:
    assert field_errors(an_api_request(a_customer() | {"x" * 1000: 1})) == [("x" * 100, "extra_forbidden")]


@pytest.mark.parametrize("value", [None, True, 7, 1.5, [], {}], ids=json.dumps)
def test_a_text_of_another_type_is_refused(value: object) -> None:
    assert field_errors(an_api_request(a_customer() | {"lastName": value})) == [("lastName", "string_type")]


@pytest.mark.parametrize("value", [True, 7, "London", []], ids=json.dumps)
def test_an_address_that_is_no_object_is_refused(value: object) -> None:
    assert field_errors(an_api_request(a_customer(address=value))) == [("address", "model_type")]


@pytest.mark.parametrize("field", ["firstName", "lastName", "email", "phone"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "string_too_short"),
        (" \u3000", "blank"),
        ("x" * 1000, "string_too_long"),
        ("Ada\nBcc: everyone@example.com", "control_character"),
        ("Ada\u202e", "control_character"),
        ("Ada\ufffd", "invalid_utf8"),
        ("Ada\uffff", "noncharacter"),
    ],
)
def test_a_text_that_is_no_line_is_refused(field: str, text: str, code: str) -> None:
    assert field_errors(an_api_request(a_customer(**{field: text}))) == [(field, code)]
    assert field_errors(an_api_request(a_customer(address={"street": text}))) == [("address.street", code)]


def test_every_error_of_a_registration_is_named() -> None:
    assert field_errors(sample("register_customer/several-errors")) == [
        ("firstName", "string_too_short"),
        ("lastName", "missing"),
        ("phone", "string_type"),
        ("address.street", "control_character"),
        ("address.zip", "extra_forbidden"),
    ]


@pytest.mark.parametrize("key", ["k", "b7c2f7a4-6f0e-4d1c-9d0b-3f5a8c1e2d4f", "x" * 255])
def test_an_idempotency_key_is_taken(key: str) -> None:
    assert parse_request(an_api_request(a_customer(), idempotency_key=key)).idempotency_key == key


@pytest.mark.parametrize("in_case", [str.lower, str.upper])
def test_a_header_may_be_in_any_case(in_case: Callable[[str], str]) -> None:
    request = an_api_request(a_customer(), idempotency_key="k")
    request["headers"] = {in_case(name): value for name, value in request["headers"].items()}

    assert parse_request(request).idempotency_key == "k"


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\nb", "a\x7fb"])
def test_an_idempotency_key_that_is_empty_too_long_or_unprintable_is_refused(key: str) -> None:
    assert field_errors(an_api_request(a_customer(), idempotency_key=key)) == [("Idempotency-Key", "header_invalid")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
TEXTS = st.text() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)
ALMOST_CUSTOMERS = st.fixed_dictionaries(
    dict.fromkeys(("firstName", "lastName", "email"), TEXTS | JSON),
    optional={"phone": TEXTS | JSON, "address": JSON | st.dictionaries(st.sampled_from(["street", "country"]), TEXTS)},
)


@given(st.binary() | st.text() | (JSON | ALMOST_CUSTOMERS).map(json.dumps) | ALMOST_CUSTOMERS.map(repr))
def test_any_body_is_a_registration_or_is_refused_with_a_reason(body: bytes | str) -> None:
    answer = answer_to(an_api_request(body))

    if isinstance(answer, Problem):
        assert answer.status == HTTPStatus.BAD_REQUEST
        assert answer.errors
        assert json.loads(respond(400, answer)["body"])["errors"] == answer.errors
    else:
        assert answer.customer.model_dump(by_alias=True, exclude_none=True) == {
            field: value for field, value in json.loads(body).items() if value is not None
        }


MARKED = TEXTS.map("§{}".format)


@given(st.fixed_dictionaries({"firstName": MARKED.map("{}\0".format), "phone": st.lists(MARKED)}), MARKED)
def test_a_problem_says_nothing_that_was_typed(customer: dict[str, Any], rubbish: str) -> None:
    invalid = refusal(an_api_request(customer))
    unreadable = refusal(an_api_request(json.dumps(customer) + rubbish))

    assert "§" not in invalid.model_dump_json() + unreadable.model_dump_json()


def answered(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of an endpoint that makes its response by this."""

    @endpoint(Logger("test"), allow_origin="*", refused="Refused", failed="Failed", unavailable="Unavailable")
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return make()

    context: Any = Context()
    return handler(an_api_request(""), context)


def test_a_document_is_answered_as_json() -> None:
    response = answered(lambda: respond(HTTPStatus.ACCEPTED, Accepted(customer_id="c", tracking_id="t")))

    assert response == {
        "statusCode": 202,
        "headers": {
            "Content-Type": "application/json",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "ETag,Location,Retry-After",
        },
        "body": '{"message":"Registration accepted","customerId":"c","trackingId":"t"}',
    }


def test_a_problem_is_answered_as_a_problem_document() -> None:
    def refuse() -> dict[str, Any]:
        raise RequestRefused(HTTPStatus.CONFLICT, "In progress", retry_after=1)

    response = answered(refuse)

    assert response == {
        "statusCode": 409,
        "headers": {
            "Content-Type": "application/problem+json",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "ETag,Location,Retry-After",
            "Retry-After": "1",
        },
        "body": '{"title":"Conflict","status":409,"detail":"In progress"}',
    }
