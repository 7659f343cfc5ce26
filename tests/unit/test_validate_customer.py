"""The function of the task ValidateCustomer."""

from __future__ import annotations

import json

import pytest

from onboarding.domain.errors import CustomerInvalid
from tests.customers import a_customer
from tests.invocations import a_customer_task
from tests.unit.runtime import Runtime

FUNCTION = "validate_customer"


def test_a_sound_customer_is_returned_normalised(runtime: Runtime) -> None:
    task = a_customer_task(customerData=a_customer(firstName=" Ada ", email="ada@EXAMPLE.com", phone="+1 202 555 0143"))

    valid = runtime.invoke(FUNCTION, task)

    normalised = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "phone": "+12025550143"}
    assert valid == {"customerData": normalised}
    assert runtime.invoke(FUNCTION, task | valid) == valid


def test_every_line_of_the_log_names_the_customer_and_the_request(runtime: Runtime) -> None:
    runtime.invoke(FUNCTION, a_customer_task())
    with pytest.raises(CustomerInvalid):
        runtime.invoke(FUNCTION, a_customer_task(customerId="other", customerData=a_customer(firstName="A")))

    assert [(line["message"], line["customer_id"], line["correlation_id"]) for line in runtime.log] == [
        ("Customer valid", a_customer_task()["customerId"], a_customer_task()["correlationId"]),
        ("Failed as expected", "other", a_customer_task()["correlationId"]),
    ]
    line = runtime.log[-1]
    assert (line["level"], line["error"]) == ("INFO", "CustomerInvalid")
    assert [error["code"] for error in json.loads(line["reason"])] == ["name_too_short"]
