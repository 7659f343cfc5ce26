"""The deployed stack through HTTP: what a caller is answered, and what comes of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import Any

import pytest

from cli.machine.polling import back_off
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings

EVENTS_OF_AN_ONBOARDED_CUSTOMER = [
    "CustomerRegistered",
    "CustomerValidated",
    "CustomerAccountCreated",
    "WelcomeEmailSent",
]


def test_a_customer_is_accepted_at_once_and_then_onboarded(onboardings: Onboardings) -> None:
    customer = a_customer(
        phone="020 7946 0958",
        address={"street": "12 St James's Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "gb"},
    )

    response = onboardings.post(json=customer)

    assert response.status_code == 202
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    accepted = response.json()
    assert accepted.keys() == {"message", "customerId", "trackingId"}
    onboarding = onboardings.ended(accepted["customerId"])
    assert onboarding.output["status"] == "ONBOARDED"
    assert onboarding.event_types == EVENTS_OF_AN_ONBOARDED_CUSTOMER
    validated = onboarding.events[1][1]["customerData"]
    assert (validated["phone"], validated["address"]["country"]) == ("+442079460958", "GB")
    (mail,) = onboarding.mails
    assert onboarding.output["accountId"] in mail["BodyText"]


def test_a_name_is_mailed_as_typed_and_escaped(onboardings: Onboardings) -> None:
    name = '<img src=x onerror="alert(1)"> & Ada'

    (mail,) = onboardings.onboard(a_customer(firstName=name)).mails

    assert f"Hello {name}," in mail["BodyText"]
    assert escape(name) in mail["BodyHtml"]
    assert "<img" not in mail["BodyHtml"]


@pytest.mark.parametrize("name", ["明", "Þóra", "نور", "Наталья", "지우", "Jean-François"])
def test_names_in_all_scripts_are_welcome(onboardings: Onboardings, name: str) -> None:
    (mail,) = onboardings.onboard(a_customer(firstName=name)).mails

    assert f"Hello {name}," in mail["BodyText"]


def test_a_repeated_request_gets_the_same_answer_and_makes_one_customer(onboardings: Onboardings) -> None:
    customer, key = a_customer(), an_address()

    first = onboardings.post(json=customer, headers={"Idempotency-Key": key})
    second = onboardings.post(json=customer, headers={"Idempotency-Key": key})

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    onboarding = onboardings.ended(first.json()["customerId"])
    assert onboarding.event_types == EVENTS_OF_AN_ONBOARDED_CUSTOMER
    assert len(onboarding.mails) == 1


def test_a_key_that_comes_with_another_customer_is_refused(onboardings: Onboardings) -> None:
    key = an_address()
    onboardings.register(a_customer(), idempotency_key=key)

    response = onboardings.post(json=a_customer(), headers={"Idempotency-Key": key})

    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "Idempotency-Key" in response.json()["detail"]


def test_of_two_customers_with_one_address_one_gets_the_account(onboardings: Onboardings) -> None:
    address = an_address()
    customers = [a_customer(email=address), a_customer(email=address.upper().replace("EXAMPLE.COM", "example.com"))]
    with ThreadPoolExecutor() as pool:
        ids = list(pool.map(onboardings.register, customers))

    outcomes = sorted(onboardings.ended(customer_id).output["status"] for customer_id in ids)

    assert outcomes == ["ONBOARDED", "REJECTED"]


def test_a_burst_is_absorbed(onboardings: Onboardings) -> None:
    """As large as the emulator's few workers take on a busy machine; on AWS the queue takes thousands a second."""
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(onboardings.register, [a_customer() for _ in range(8)]))

    outcomes = [onboardings.ended(customer_id) for customer_id in ids]

    assert [(outcome.error, outcome.last_state) for outcome in outcomes] == [(None, "Onboarded")] * 8


JSON = {"Content-Type": "application/json"}
BAD_REQUESTS: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "no JSON": ({"content": "{not json", "headers": JSON}, 400, "body"),
    "no object": ({"json": ["a list"]}, 400, "body"),
    "a missing field": ({"json": a_customer(lastName=None)}, 400, "lastName"),
    "a misspelt field": ({"json": a_customer(lastname="Lovelace")}, 400, "lastname"),
    "a wrong type": ({"json": a_customer(firstName=7)}, 400, "firstName"),
    "an empty name": ({"json": a_customer(firstName="")}, 400, "firstName"),
    "a blank name": ({"json": a_customer(firstName="   ")}, 400, "firstName"),
    "a name of a thousand letters": ({"json": a_customer(firstName="A" * 1000)}, 400, "firstName"),
    "a control character": ({"json": a_customer(firstName="Ada\u0000")}, 400, "firstName"),
    "a line break in a name": ({"json": a_customer(lastName="Love\nlace")}, 400, "lastName"),
    "a line break in an address": ({"json": a_customer(address={"street": "1\r\nBcc: x"})}, 400, "address.street"),
    "a misspelt field in an address": ({"json": a_customer(address={"town": "London"})}, 400, "address.town"),
    "a key that is too long": (
        {"json": a_customer(), "headers": {"Idempotency-Key": "k" * 256}},
        400,
        "Idempotency-Key",
    ),
    "invalid UTF-8": (
        {"content": b'{"firstName": "\xff\xfe", "lastName": "Lovelace", "email": "ada@example.com"}', "headers": JSON},
        400,
        "firstName",
    ),
    "another content type": (
        {"content": json.dumps(a_customer()), "headers": {"Content-Type": "text/plain"}},
        415,
        None,
    ),
    "a body over the limit": ({"json": a_customer(lastName="é" * 17_000)}, 413, None),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_bad_input_is_answered_with_the_field_and_the_reason_and_nothing_is_queued(
    onboardings: Onboardings, what: str
) -> None:
    request, status, field = BAD_REQUESTS[what]
    onboardings.await_left("Registration", 0)
    before = onboardings.executions()

    response = onboardings.post(**request)

    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert "Traceback" not in response.text
    if field:
        assert field in [error["field"] for error in problem["errors"]]
        assert all(error["message"] for error in problem["errors"])
    assert onboardings.queued() == 0
    assert onboardings.executions() == before


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/customers"), ("POST", "/api/nothing")])
def test_a_resource_that_is_not_there_is_a_problem_too(onboardings: Onboardings, method: str, path: str) -> None:
    response = onboardings.request(method, path)

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["title"] == "Not Found"


def test_a_malformed_message_goes_to_the_dlq_and_stops_none_of_its_batch(onboardings: Onboardings) -> None:
    sqs, queue = onboardings.stack.session.client("sqs"), onboardings.stack.outputs["RegistrationQueueUrl"]
    malformed = '{"customerId": "no registration"}'

    sqs.send_message(QueueUrl=queue, MessageBody=malformed)
    onboarding = onboardings.onboard(a_customer())

    assert onboarding.output["status"] == "ONBOARDED"
    dead: list[str] = []
    onboardings.await_left("Registration", 1)
    with onboardings.hurried("Registration"):
        for _ in back_off(PATIENCE_SECONDS):
            dead = onboardings.dead_letters("Registration")
            if dead:
                break
    assert dead == [malformed]
