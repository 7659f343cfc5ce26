"""The function behind POST /api/customers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import pytest

from onboarding.domain.models import CustomerData
from onboarding.domain.registration import customer_id_for
from onboarding.runtime.api import onboarding_of
from tests.customers import a_customer
from tests.invocations import an_api_request
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, during, failing, losing_the_answer, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "register_customer"
KEY = "b7c2f7a4-6f0e-4d1c-9d0b-3f5a8c1e2d4f"
CORS = {
    "Access-Control-Allow-Origin": "https://www.example.com",
    "Access-Control-Expose-Headers": "ETag,Location,Retry-After",
}
TRY_AGAIN = {
    "title": "Service Unavailable",
    "status": 503,
    "detail": "The registration may or may not have been accepted. Retry with the same Idempotency-Key.",
}
(LOST, *_) = OUT_OF_REACH

Queued = Callable[[], list[tuple[str, Any]]]
Register = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.usefixtures("idempotency_table")


@pytest.fixture
def register(runtime: Runtime) -> Register:
    """Sends a registration and returns the answer, its body parsed."""

    def register(customer: object, idempotency_key: str | None = None) -> dict[str, Any]:
        response = runtime.invoke(FUNCTION, an_api_request(customer, idempotency_key=idempotency_key))
        return dict(response | {"body": json.loads(response["body"])})

    return register


def test_a_registration_is_accepted_and_queued_as_typed(register: Register, queued: Queued) -> None:
    customer = a_customer(firstName=" <b>Ada</b> ", phone="020 7946 0958", address={"city": "London"})
    before = datetime.now(UTC)

    response = register(customer)

    ((message_id, message),) = queued()
    customer_id = message["customerId"]
    location = {"Location": f"customers/{customer_id}/onboarding"}
    assert response == {
        "statusCode": 202,
        "headers": {"Content-Type": "application/json", **CORS, **location},
        "body": {"message": "Registration accepted", "customerId": customer_id, "trackingId": message_id},
    }
    assert str(UUID(customer_id)) == customer_id
    assert before <= datetime.fromisoformat(message.pop("timestamp")) <= datetime.now(UTC)
    assert message == {
        "eventType": "CustomerRegistered",
        "customerId": customer_id,
        "correlationId": an_api_request("")["requestContext"]["requestId"],
        "data": customer,
    }


@pytest.mark.parametrize("base", ["https://a1b2.execute-api.us-east-1.amazonaws.com/v1", "https://api.example.com"])
def test_location_is_right_behind_every_base_path(base: str) -> None:
    assert urljoin(f"{base}/api/customers", onboarding_of("ada")) == f"{base}/api/customers/ada/onboarding"


@pytest.mark.parametrize(("first", "second"), [(None, None), (KEY, f"{KEY}-2")])
def test_no_key_or_another_key_is_a_new_registration(
    first: str | None, second: str | None, register: Register, queued: Queued
) -> None:
    customer = a_customer()

    answers = register(customer, first), register(customer, second)

    assert len({answer["body"]["customerId"] for answer in answers}) == len(queued()) == 2


@pytest.mark.parametrize(
    ("customer", "status", "title"),
    [
        ("firstName=Ada", 400, "Bad Request"),
        (a_customer(email=None), 400, "Bad Request"),
        (a_customer(lastName="x" * 16 * 1024), 413, "Content Too Large"),
    ],
)
def test_bad_input_is_answered_with_a_problem_and_not_queued(  # noqa: PLR0913, PLR0917 - the world of a request
    customer: object, status: int, title: str, register: Register, queued: Queued, runtime: Runtime
) -> None:
    for idempotency_key in (None, KEY):
        response = register(customer, idempotency_key)

        assert response["headers"] == {"Content-Type": "application/problem+json", **CORS}
        assert response["statusCode"] == response["body"]["status"] == status
        assert response["body"]["title"] == title
        assert ("errors" in response["body"]) == (status == 400)
    assert queued() == []
    assert runtime.metrics == {"RegistrationRefused": 2}


def test_a_request_sent_again_with_its_key_gets_the_same_answer_and_is_queued_once(
    register: Register, queued: Queued
) -> None:
    customer = a_customer()

    first, second = register(customer, KEY), register(customer, KEY)

    assert first["statusCode"] == 202
    assert second == first
    assert len(queued()) == 1


def test_a_key_sent_with_another_registration_is_refused(register: Register, queued: Queued) -> None:
    customer = a_customer()
    register(customer, KEY)

    assert register(customer | {"lastName": "King"}, KEY)["body"] == {
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "The Idempotency-Key was used with another registration.",
    }
    assert len(queued()) == 1


def test_a_request_whose_first_is_in_progress_is_told_to_come_again(
    register: Register, queued: Queued, functions: Functions
) -> None:
    customer = a_customer()
    meanwhile: list[dict[str, Any]] = []

    with during(functions[FUNCTION].sqs, "SendMessage", lambda: meanwhile.append(register(customer, KEY))):
        first = register(customer, KEY)

    (response,) = meanwhile
    assert response["headers"]["Retry-After"] == "1"
    assert response["body"] == {
        "title": "Conflict",
        "status": 409,
        "detail": "The first request with this Idempotency-Key is in progress.",
    }
    assert register(customer, KEY) == first
    assert len(queued()) == 1


def test_a_key_whose_record_is_lost_makes_no_second_customer(
    register: Register, queued: Queued, idempotency_table: Table
) -> None:
    customer = a_customer()
    first = register(customer, KEY)
    idempotency_table.forget()

    assert register(customer, KEY)["body"]["customerId"] == first["body"]["customerId"]
    assert {message["customerId"] for _, message in queued()} == {first["body"]["customerId"]}


@pytest.mark.parametrize("idempotency_key", [None, KEY], ids=["no key", "a key"])
def test_queue_out_of_reach_is_a_503_to_send_again(
    idempotency_key: str | None, register: Register, queued: Queued, functions: Functions
) -> None:
    customer = a_customer()

    with failing(functions[FUNCTION].sqs, "SendMessage", LOST):
        assert register(customer, idempotency_key)["body"] == TRY_AGAIN

    assert queued() == []
    assert register(customer, idempotency_key)["statusCode"] == 202


def test_an_answer_of_sqs_that_got_lost_makes_no_second_customer(
    register: Register, queued: Queued, functions: Functions
) -> None:
    customer = a_customer()
    with losing_the_answer(functions[FUNCTION].sqs, "SendMessage", LOST):
        assert register(customer, KEY)["body"] == TRY_AGAIN

    accepted = register(customer, KEY)

    assert [message["customerId"] for _, message in queued()] == [accepted["body"]["customerId"]] * 2


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem"])
def test_records_out_of_reach_make_no_second_customer(
    operation: str, register: Register, queued: Queued, idempotency_table: Table, functions: Functions
) -> None:
    customer = a_customer()

    with failing(functions[FUNCTION].records.client, operation, LOST):
        assert register(customer, KEY)["body"] == TRY_AGAIN
    idempotency_table.forget()  # as a lock is forgotten when the time of the function that took it is over

    accepted = register(customer, KEY)
    assert {message["customerId"] for _, message in queued()} == {accepted["body"]["customerId"]}


def test_a_queue_that_refuses_is_answered_with_a_problem_that_says_nothing_of_it(
    register: Register, functions: Functions, runtime: Runtime
) -> None:
    words = "arn:aws:sqs:us-east-1:123456789012:registrations"
    with refusing(functions[FUNCTION].sqs, "send_message", "AccessDenied", words):
        response = register(a_customer())

    assert (response["statusCode"], response["headers"]["Retry-After"], response["body"]) == (503, "5", TRY_AGAIN)
    assert [(line["level"], line["message"]) for line in runtime.log] == [
        ("ERROR", "Registration not accepted"),
        ("INFO", "Registration refused"),
    ]
    assert "AccessDenied" in runtime.log[0]["exception"]
    assert runtime.log[0]["customer_id"] == runtime.log[1]["customer_id"]  # which it would have


@pytest.mark.usefixtures("queued")
def test_what_is_recorded_of_a_key_holds_nothing_personal(register: Register, idempotency_table: Table) -> None:
    customer = a_customer(phone="+44 20 7946 0958")
    register(customer, KEY)

    ((_, record),) = idempotency_table.items.items()

    assert record["status"] == {"S": "COMPLETED"}
    assert [value for value in customer.values() if value in json.dumps(record)] == []


@pytest.mark.usefixtures("queued")
def test_every_line_of_the_log_names_the_request_and_once_it_has_one_the_customer(
    register: Register, runtime: Runtime
) -> None:
    accepted, another = register(a_customer(), KEY), a_customer()
    register(another, KEY)
    register({})

    never = customer_id_for(CustomerData.model_validate(another), KEY)  # that of the customer who is refused
    assert {line["correlation_id"] for line in runtime.log} == {an_api_request("")["requestContext"]["requestId"]}
    assert [(line["message"], line.get("customer_id"), line.get("status")) for line in runtime.log] == [
        ("Registration accepted", accepted["body"]["customerId"], None),
        ("Registration refused", never, 422),
        ("Registration refused", None, 400),
    ]
    assert runtime.metrics == {"RegistrationAccepted": 1, "RegistrationRefused": 2}
