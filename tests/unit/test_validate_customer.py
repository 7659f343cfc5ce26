"""The function of the task ValidateCustomer."""

import json

import pytest

from onboarding.domain.errors import CustomerInvalid
from tests.customers import a_customer
from tests.invocations import a_customer_task
from tests.unit.runtime import Runtime

FUNCTION = "validate_customer"


def test_valid_customer_is_normalised(runtime: Runtime) -> None:
    task = a_customer_task(customerData=a_customer(firstName=" Ada ", email="ada@EXAMPLE.com", phone="+1 202 555 0143"))

    valid = runtime.invoke(FUNCTION, task)

    normalised = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "phone": "+12025550143"}
    assert valid == {"customerData": normalised}
    assert runtime.invoke(FUNCTION, task | valid) == valid


def test_invalid_customer_is_logged(runtime: Runtime) -> None:
    with pytest.raises(CustomerInvalid):
        runtime.invoke(FUNCTION, a_customer_task(customerId="ada", customerData=a_customer(firstName="A")))

    (line,) = runtime.log
    assert (line["level"], line["message"], line["customer_id"]) == ("INFO", "Failed as expected", "ada")
    assert (line["error"], line["correlation_id"]) == ("CustomerInvalid", a_customer_task()["correlationId"])
    assert [error["code"] for error in json.loads(line["reason"])] == ["name_too_short"]
