"""The function behind GET /api/customers/{customerId}/onboarding."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from onboarding.domain.events import CustomerAccountCreated, CustomerRegistered, Event, WelcomeEmailSent
from tests.invocations import a_batch, a_status_request, an_envelope, an_event, failures
from tests.unit.deployment import CORS, Functions
from tests.unit.faults import DENIED, failing
from tests.unit.personal_data import found, typed
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "get_onboarding"
CUSTOMER = "0d9f2f0a-3a9e-4f8e-8f43-5f2f1f3c9b10"

Get = Callable[..., dict[str, Any]]
Track = Callable[..., dict[str, Any]]


@pytest.fixture
def get(runtime: Runtime, timelines_table: Table) -> Get:
    """Gets a customer's onboarding; the keywords are headers, `_` for `-`."""

    def get(customer_id: str = CUSTOMER, **headers: str) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return dict(runtime.invoke(FUNCTION, a_status_request(customer_id, **named)))

    return get


@pytest.fixture
def track(runtime: Runtime, timelines_table: Table) -> Track:
    """Tracks an event of the customer; returns the invocation."""

    def track(kind: type[Event], **fields: Any) -> dict[str, Any]:
        batch = a_batch(an_envelope(an_event(kind, CUSTOMER, **fields)))
        assert runtime.invoke("track_onboarding", batch) == failures()
        return batch

    return track


def test_pending_status_says_when_to_retry(get: Get, track: Track) -> None:
    track(CustomerRegistered)

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


def test_final_status_has_no_retry_after(get: Get, track: Track) -> None:
    track(WelcomeEmailSent)

    response = get()

    assert json.loads(response["body"])["status"] == "ONBOARDED"
    assert json.loads(response["body"])["accountId"] == "account-1"
    assert "Retry-After" not in response["headers"]


@pytest.mark.parametrize("known", ["{etag}", "W/{etag}", '"a,b" ,W/{etag},"another"', " * "])
@pytest.mark.parametrize("header", ["If_None_Match", "if_none_match"])
def test_known_status_is_a_304(known: str, header: str, get: Get, track: Track) -> None:
    track(CustomerRegistered)
    etag = get()["headers"]["ETag"]

    response = get(**{header: known.format(etag=etag)})
    track(CustomerAccountCreated)
    progress = get(**{header: etag})

    assert (response["statusCode"], response["body"]) == (304, "")
    assert response["headers"] == {**CORS, "Cache-Control": "no-cache", "ETag": etag, "Retry-After": "2"}
    assert json.loads(progress["body"])["status"] == "ACCOUNT_CREATED"
    assert progress["headers"]["ETag"] != etag


@pytest.mark.parametrize("known", ["", '"another"', "W/*", '"a"{unquoted}"b"', "{unquoted}", '"{unquoted}'])
def test_another_etag_gets_the_status(known: str, get: Get, track: Track) -> None:
    track(CustomerRegistered)
    unquoted = get()["headers"]["ETag"].strip('"')

    assert get(If_None_Match=known.format(unquoted=unquoted))["statusCode"] == 200


def test_unknown_customer_is_a_404_to_retry(get: Get, track: Track) -> None:
    track(CustomerRegistered)

    response = get("grace")

    assert response["statusCode"] == 404
    assert response["headers"] == {"Content-Type": "application/problem+json", **CORS, "Retry-After": "2"}
    assert json.loads(response["body"]) == {
        "title": "Not Found",
        "status": 404,
        "detail": "No onboarding with this id. If it was accepted a moment ago, try again shortly.",
    }


@pytest.mark.parametrize("customer_id", ["", "ada lovelace", "x" * 81, "../ada", "ada:CustomerRegistered"])
def test_malformed_id_is_not_looked_up(customer_id: str, runtime: Runtime) -> None:
    response = runtime.invoke(FUNCTION, a_status_request(customer_id))  # there is no table

    assert response["statusCode"] == 404
    assert json.loads(response["body"])["detail"] == "No onboarding with this id."
    assert "Retry-After" not in response["headers"]


def test_table_failure_is_a_503_without_details(get: Get, functions: Functions, runtime: Runtime) -> None:
    with failing(functions[FUNCTION].dynamodb, "Query", DENIED):
        response = get()

    problem = {"title": "Service Unavailable", "status": 503, "detail": "The status is temporarily unavailable."}
    assert json.loads(response["body"]) == problem
    assert [(line["level"], line["message"], line["customer_id"]) for line in runtime.log] == [
        ("ERROR", "Timeline not read", CUSTOMER),
        ("INFO", "Status refused", CUSTOMER),
    ]


def test_read_is_consistent(get: Get, functions: Functions) -> None:
    asked: list[dict[str, Any]] = []
    events = functions[FUNCTION].dynamodb.meta.events
    events.register("provide-client-params.dynamodb.Query", lambda params, **_: asked.append(params), "asked")

    get()
    events.unregister("provide-client-params.dynamodb.Query", unique_id="asked")

    assert [params["ConsistentRead"] for params in asked] == [True]


def test_answer_holds_nothing_personal(get: Get, track: Track) -> None:
    brought = typed(track(CustomerRegistered)) | typed(track(CustomerAccountCreated))

    assert len(brought) >= 4
    assert found(brought, json.dumps(get())) == set()
