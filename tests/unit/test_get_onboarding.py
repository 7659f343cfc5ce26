"""The function behind GET /api/customers/{customerId}/onboarding."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerAccountCreationFailed,
    CustomerRegistered,
    Event,
    WelcomeEmailSent,
)
from tests.customers import a_customer
from tests.invocations import a_batch, a_status_request, an_envelope
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.personal_data import found, typed
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "get_onboarding"
CUSTOMER = "0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b10"
AT = datetime(2026, 11, 23, 10, 30, 42, 123000, tzinfo=UTC)
UNAVAILABLE = {"title": "Service Unavailable", "status": 503, "detail": "The status can't be told at present"}
CORS = {
    "Access-Control-Allow-Origin": "https://www.example.com",
    "Access-Control-Expose-Headers": "ETag,Location,Retry-After",
}

Get = Callable[..., dict[str, Any]]
Hear = Callable[..., dict[str, Any]]


@pytest.fixture
def get(runtime: Runtime, timelines_table: Table) -> Get:
    """Asks for a customer's onboarding and returns the answer; the keywords are headers, `_` for `-`."""

    def get(customer_id: str = CUSTOMER, **headers: str) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return dict(runtime.invoke(FUNCTION, a_status_request(customer_id, **named)))

    return get


@pytest.fixture
def hear(runtime: Runtime, timelines_table: Table) -> Hear:
    """Lets an event of the customer be tracked, and returns the invocation."""

    def hear(event_type: type[Event], **fields: Any) -> dict[str, Any]:
        event = event_type.of(CUSTOMER, correlation_id="request", occurred_at=AT, **fields)
        batch = a_batch(an_envelope(event))
        assert runtime.invoke("track_onboarding", batch) == {"batchItemFailures": []}
        return batch

    return hear


def register(hear: Hear) -> dict[str, Any]:
    return hear(CustomerRegistered, registered_at=AT, customer_data=a_customer())


def test_an_onboarding_that_goes_on_is_answered_with_when_to_ask_again(get: Get, hear: Hear) -> None:
    register(hear)

    response = get()

    assert response["statusCode"] == 200
    assert response["headers"] == {
        "Content-Type": "application/json",
        **CORS,
        "Cache-Control": "no-cache",
        "ETag": response["headers"]["ETag"],
        "Retry-After": "2",
    }
    assert json.loads(response["body"]) == {
        "customerId": CUSTOMER,
        "status": "REGISTERED",
        "welcomeEmail": "PENDING",
        "timeline": [{"type": "CustomerRegistered", "occurredAt": "2026-11-23T10:30:42.123000Z"}],
    }


def test_an_onboarding_that_has_ended_is_not_to_be_asked_for_again(get: Get, hear: Hear) -> None:
    hear(WelcomeEmailSent, account_id="account-1", message_id="message-1")

    response = get()

    assert json.loads(response["body"])["status"] == "ONBOARDED"
    assert json.loads(response["body"])["accountId"] == "account-1"
    assert "Retry-After" not in response["headers"]


@pytest.mark.parametrize(
    "known",
    ["{etag}", "W/{etag}", '"another", {etag}', '"a,b" ,W/{etag},"another"', "*", " * "],
    ids=["it", "weak", "in a list", "in a crowded list", "any", "any, with blanks"],
)
def test_what_is_known_already_is_not_sent_again(known: str, get: Get, hear: Hear) -> None:
    register(hear)
    first = get()

    response = get(If_None_Match=known.format(etag=first["headers"]["ETag"]))

    assert (response["statusCode"], response["body"]) == (304, "")
    assert response["headers"] == {
        **CORS,
        "Cache-Control": "no-cache",
        "ETag": first["headers"]["ETag"],
        "Retry-After": "2",
    }


@pytest.mark.parametrize("known", ["", '"another"', "W/*", '"*"', "{unquoted}", '"{unquoted}'])
def test_what_is_not_known_is_sent(known: str, get: Get, hear: Hear) -> None:
    register(hear)
    unquoted = get()["headers"]["ETag"].strip('"')

    assert get(If_None_Match=known.format(unquoted=unquoted))["statusCode"] == 200


def test_the_name_of_a_header_may_be_in_any_case(get: Get, hear: Hear) -> None:
    register(hear)

    assert get(if_none_match=get()["headers"]["ETag"])["statusCode"] == 304


def test_progress_is_a_new_answer_with_a_new_tag(get: Get, hear: Hear) -> None:
    register(hear)
    before = get()["headers"]["ETag"]
    hear(CustomerAccountCreated, account_id="account-1", email="ada@example.com", name="Ada Lovelace")

    response = get(If_None_Match=before)

    assert response["statusCode"] == 200
    assert response["headers"]["ETag"] != before
    assert json.loads(response["body"])["status"] == "ACCOUNT_CREATED"


def test_a_tag_is_strong_and_of_the_body(get: Get, hear: Hear) -> None:
    register(hear)
    first, second = get(), get()

    assert first["headers"]["ETag"] == second["headers"]["ETag"]
    assert first["headers"]["ETag"].startswith('"')


def test_an_onboarding_of_which_nothing_is_known_yet_is_a_problem_to_come_back_to(get: Get) -> None:
    response = get()

    assert response["statusCode"] == 404
    assert response["headers"] == {"Content-Type": "application/problem+json", **CORS, "Retry-After": "2"}
    assert json.loads(response["body"]) == {
        "title": "Not Found",
        "status": 404,
        "detail": "No such onboarding; of one that was accepted just now, nothing is known yet",
    }


def test_another_customer_s_onboarding_is_none_of_this_one(get: Get, hear: Hear) -> None:
    register(hear)

    assert get("grace")["statusCode"] == 404


@pytest.mark.parametrize(
    "customer_id", ["", "ada lovelace", "ada\n", "x" * 81, "Zoë", "../ada", "ada:CustomerRegistered"]
)
def test_what_can_be_no_customer_id_is_not_looked_up(customer_id: str, runtime: Runtime) -> None:
    response = runtime.invoke(FUNCTION, a_status_request(customer_id))  # there is no table

    assert response["statusCode"] == 404
    assert json.loads(response["body"]) == {"title": "Not Found", "status": 404, "detail": "No such onboarding"}
    assert "Retry-After" not in response["headers"]


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=lambda error: type(error).__name__)
def test_a_table_out_of_reach_is_answered_with_a_problem(error: Exception, get: Get, functions: Functions) -> None:
    with failing(functions[FUNCTION].dynamodb, "Query", error):
        response = get()

    assert response["statusCode"] == 503
    assert response["headers"]["Retry-After"] == "5"
    assert json.loads(response["body"]) == UNAVAILABLE


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ResourceNotFoundException"])
def test_a_table_that_refuses_is_answered_with_a_problem_that_says_nothing_of_it(
    code: str, get: Get, functions: Functions, runtime: Runtime
) -> None:
    with refusing(functions[FUNCTION].dynamodb, "query", code, "arn:aws:dynamodb:us-east-1:123456789012:table/t"):
        response = get()

    assert json.loads(response["body"]) == UNAVAILABLE
    assert [(line["level"], line["message"]) for line in runtime.log] == [
        ("ERROR", "Timeline not read"),
        ("INFO", "Status refused"),
    ]


def test_what_was_just_kept_is_read(get: Get, functions: Functions) -> None:
    asked: list[dict[str, Any]] = []
    events = functions[FUNCTION].dynamodb.meta.events
    events.register("provide-client-params.dynamodb.Query", lambda params, **_: asked.append(params), "asked")

    get()
    events.unregister("provide-client-params.dynamodb.Query", unique_id="asked")

    assert [params["ConsistentRead"] for params in asked] == [True]


def test_the_answer_holds_nothing_personal(get: Get, hear: Hear) -> None:
    brought = typed(register(hear)) | typed(
        hear(CustomerAccountCreated, account_id="account-1", email="ada@example.com", name="Ada Lovelace")
    )

    assert len(brought) >= 4
    assert found(brought, json.dumps(get())) == set()


def test_the_answer_to_an_address_that_is_taken_says_nothing_of_it(get: Get, hear: Hear) -> None:
    register(hear)
    hear(CustomerAccountCreationFailed, reason="EMAIL_TAKEN")

    body = get()["body"]

    assert json.loads(body)["status"] == "REJECTED"
    assert [word for word in ("EMAIL_TAKEN", "AccountCreation", "address") if word in body] == []


def test_every_line_of_the_log_names_the_request_and_the_customer(get: Get, hear: Hear, runtime: Runtime) -> None:
    get()
    register(hear)
    get()

    lines = [line for line in runtime.log if line["message"] != "Event tracked"]
    assert [(line["message"], line["customer_id"]) for line in lines] == [
        ("Status refused", CUSTOMER),
        ("Status answered", CUSTOMER),
    ]
    assert {line["correlation_id"] for line in lines} == {a_status_request("")["requestContext"]["requestId"]}
