"""The function of the task ValidateCustomer."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from onboarding.domain.errors import CustomerInvalid
from tests.customers import a_customer
from tests.invocations import a_customer_task
from tests.unit.runtime import Runtime

FUNCTION = "validate_customer"


def test_a_sound_customer_is_returned_normalised_each_time(runtime: Runtime) -> None:
    task = a_customer_task(
        customerData=a_customer(firstName=" Ada ", email="ada@EXAMPLE.com", phone="+1 (202) 555-0143")
    )

    first = runtime.invoke(FUNCTION, task)
    second = runtime.invoke(FUNCTION, task)

    assert first == second
    assert first == {
        "customerData": {
            "firstName": "Ada",
            "lastName": "Lovelace",
            "email": "ada@example.com",
            "phone": "+12025550143",
        }
    }


def test_what_was_validated_passes_again_unchanged(runtime: Runtime) -> None:
    valid = runtime.invoke(FUNCTION, a_customer_task())

    assert runtime.invoke(FUNCTION, a_customer_task(**valid)) == valid


def test_an_invalid_customer_is_refused_with_every_broken_rule(runtime: Runtime) -> None:
    with pytest.raises(CustomerInvalid) as raised:
        runtime.invoke(FUNCTION, a_customer_task(customerData=a_customer(firstName="A", phone="call me maybe")))

    assert [(error["field"], error["code"]) for error in json.loads(str(raised.value))] == [
        ("firstName", "name_too_short"),
        ("phone", "phone_invalid"),
    ]


def test_every_line_of_the_log_names_the_customer_and_the_request(runtime: Runtime) -> None:
    runtime.invoke(FUNCTION, a_customer_task())
    with pytest.raises(CustomerInvalid):
        runtime.invoke(FUNCTION, a_customer_task(customerId="other", customerData=a_customer(firstName="A")))

    assert [(line["message"], line["customer_id"], line["correlation_id"]) for line in runtime.log] == [
        ("Customer valid", a_customer_task()["customerId"], a_customer_task()["correlationId"]),
        ("Failed as expected", "other", a_customer_task()["correlationId"]),
    ]
    assert [error["code"] for error in json.loads(runtime.log[-1]["reason"])] == ["name_too_short"]


def test_a_malformed_task_fails_and_says_what_is_wrong_with_it(runtime: Runtime) -> None:
    with pytest.raises(ValidationError, match=r"customerData\.email") as raised:
        runtime.invoke(FUNCTION, a_customer_task(customerData={"firstName": "Ada", "lastName": "Lovelace"}))

    assert raised.value.error_count() == 1
