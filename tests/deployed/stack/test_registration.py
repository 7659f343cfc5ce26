"""The deployed stack over HTTP: its answers, and the result of a registration."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.customers import a_customer, an_address
from tests.deployed.onboardings import Onboardings

EVENTS_OF_AN_ONBOARDED_CUSTOMER = [
    "CustomerRegistered",
    "CustomerValidated",
    "CustomerAccountCreated",
    "WelcomeEmailSent",
]


def test_accepted_customer_is_onboarded(onboardings: Onboardings) -> None:
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


def test_repeated_key_returns_same_customer(onboardings: Onboardings) -> None:
    customer, headers = a_customer(), {"Idempotency-Key": an_address()}

    first = onboardings.post(json=customer, headers=headers)
    second = onboardings.post(json=customer, headers=headers)
    other = onboardings.post(json=a_customer(), headers=headers)

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    onboarding = onboardings.ended(first.json()["customerId"])
    assert onboarding.event_types == EVENTS_OF_AN_ONBOARDED_CUSTOMER
    assert len(onboarding.mails) == 1
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]


def test_one_address_gets_one_account(onboardings: Onboardings) -> None:
    address = an_address()
    customers = [a_customer(email=address), a_customer(email=address.upper().replace("EXAMPLE.COM", "example.com"))]
    with ThreadPoolExecutor() as pool:
        ids = list(pool.map(onboardings.register, customers))

    outcomes = sorted(onboardings.ended(customer_id).output["status"] for customer_id in ids)

    assert outcomes == ["ONBOARDED", "REJECTED"]


BAD_REQUESTS: dict[str, dict[str, Any]] = {
    "body": {"content": "{not json", "headers": {"Content-Type": "application/json"}},
    "address.town": {"json": a_customer(address={"town": "London"})},
}


@pytest.mark.parametrize("field", BAD_REQUESTS)
def test_bad_request_names_field_and_isnt_queued(onboardings: Onboardings, field: str) -> None:
    """The other bad requests are in tests/unit/test_register_customer.py."""
    onboardings.await_left("Registration", 0)
    before = onboardings.executions()

    response = onboardings.post(**BAD_REQUESTS[field])

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert field in [error["field"] for error in response.json()["errors"]]
    onboardings.await_left("Registration", 0)
    assert onboardings.executions() == before


def test_missing_resource_is_a_problem_too(onboardings: Onboardings) -> None:
    response = onboardings.request("POST", "/api/nothing")

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["title"] == "Not Found"
