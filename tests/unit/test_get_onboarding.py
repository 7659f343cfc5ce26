"""The function behind GET /api/customers/{customerId}/onboarding."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerRegistered,
    Event,
    WelcomeEmailSent,
)
from tests.invocations import a_batch, a_status_request, an_envelope, an_event, failures
from tests.unit.deployment import Functions
from tests.unit.faults import refusing
from tests.unit.personal_data import found, typed
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "get_onboarding"
CUSTOMER = "0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b10"
UNAVAILABLE = {"title": "Service Unavailable", "status": 503, "detail": "The status is temporarily unavailable."}
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

    def hear(kind: type[Event], **fields: Any) -> dict[str, Any]:
        batch = a_batch(an_envelope(an_event(kind, CUSTOMER, **fields)))
        assert runtime.invoke("track_onboarding", batch) == failures()
        return batch

    return hear


def test_an_onboarding_that_goes_on_is_answered_with_when_to_ask_again(get: Get, hear: Hear) -> None:
    hear(CustomerRegistered)

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
    hear(WelcomeEmailSent)

    response = get()

    assert json.loads(response["body"])["status"] == "ONBOARDED"
    assert json.loads(response["body"])["accountId"] == "account-1"
    assert "Retry-After" not in response["headers"]


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"a,b" ,W/{etag},"another"', " * "])
@pytest.mark.parametrize("header", ["If_None_Match", "if_none_match"])
def test_what_is_known_already_is_not_sent_again(known: str, header: str, get: Get, hear: Hear) -> None:
    hear(CustomerRegistered)
    etag = get()["headers"]["ETag"]

    response = get(**{header: known.format(etag=etag)})
    hear(CustomerAccountCreated)
    progress = get(**{header: etag})

    assert (response["statusCode"], response["body"]) == (304, "")
    assert response["headers"] == {**CORS, "Cache-Control": "no-cache", "ETag": etag, "Retry-After": "2"}
    assert json.loads(progress["body"])["status"] == "ACCOUNT_CREATED"
    assert progress["headers"]["ETag"] != etag


@pytest.mark.parametrize("known", ["", '"another"', "W/*", '"a"{unquoted}"b"', "{unquoted}", '"{unquoted}'])
def test_what_is_not_known_is_sent(known: str, get: Get, hear: Hear) -> None:
    hear(CustomerRegistered)
    unquoted = get()["headers"]["ETag"].strip('"')

    assert get(If_None_Match=known.format(unquoted=unquoted))["statusCode"] == 200


def test_unknown_onboarding_is_a_404_to_come_back_to(get: Get, hear: Hear) -> None:
    hear(CustomerRegistered)

    response = get("grace")

    assert response["statusCode"] == 404
    assert response["headers"] == {"Content-Type": "application/problem+json", **CORS, "Retry-After": "2"}
    assert json.loads(response["body"]) == {
        "title": "Not Found",
        "status": 404,
        "detail": "No onboarding with this id. If it was accepted a moment ago, try again shortly.",
    }


@pytest.mark.parametrize("customer_id", ["", "ada lovelace", "x" * 81, "../ada", "ada:CustomerRegistered"])
def test_what_can_be_no_customer_id_is_not_looked_up(customer_id: str, runtime: Runtime) -> None:
    response = runtime.invoke(FUNCTION, a_status_request(customer_id))  # there is no table

    assert response["statusCode"] == 404
    assert json.loads(response["body"]) == {
        "title": "Not Found",
        "status": 404,
        "detail": "No onboarding with this id.",
    }
    assert "Retry-After" not in response["headers"]


def test_a_table_that_refuses_is_answered_with_a_problem_that_says_nothing_of_it(
    get: Get, functions: Functions, runtime: Runtime
) -> None:
    words = "arn:aws:dynamodb:us-east-1:123456789012:table/t"
    with refusing(functions[FUNCTION].dynamodb, "query", "ResourceNotFoundException", words):
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
    brought = typed(hear(CustomerRegistered)) | typed(hear(CustomerAccountCreated))

    assert len(brought) >= 4
    assert found(brought, json.dumps(get())) == set()


def test_every_line_of_the_log_names_the_request_and_the_customer(get: Get, hear: Hear, runtime: Runtime) -> None:
    hear(CustomerRegistered)
    get()
    get("grace")

    request_id = a_status_request("")["requestContext"]["requestId"]
    assert [(line["message"], line["customer_id"], line["correlation_id"]) for line in runtime.log[1:]] == [
        ("Status answered", CUSTOMER, request_id),
        ("Status refused", "grace", request_id),
    ]
