"""The check that the tests of the functions end with finds what it looks for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.customers import a_customer
from tests.invocations import (
    a_batch,
    a_customer_task,
    a_provision_task,
    a_registration,
    a_welcome_email_task,
    an_api_request,
)
from tests.unit.personal_data import found, typed

CUSTOMER = a_customer(
    firstName="Zoë", lastName=" O'Hara\n", email="zoe@example.com", address={"city": "Łódź", "country": "PL"}
)
VALUES = {"Zoë", "O'Hara", "zoe@example.com", "Łódź"}


@pytest.mark.parametrize(
    "event",
    [
        an_api_request(CUSTOMER),
        an_api_request(json.dumps(CUSTOMER).encode()),
        a_batch("not JSON", a_registration(data=CUSTOMER)),
        a_customer_task(customerData=CUSTOMER),
        a_provision_task(account=CUSTOMER | {"accountId": "account-1"}),
    ],
    ids=["a request", "a request in Base64", "messages", "a task", "a task for a system"],
)
def test_what_a_customer_typed_is_personal_and_nothing_else_is(event: dict[str, object]) -> None:
    assert typed(event) - {"not JSON"} == VALUES


def test_a_recipient_is_personal() -> None:
    assert typed(a_welcome_email_task(firstName="Zoë", email="zoe@example.com")) == {"Zoë", "zoe@example.com"}


@pytest.mark.parametrize("written", [str, repr, json.dumps], ids=["as it is", "by Python", "in JSON"])
def test_a_personal_value_is_found_however_it_is_written(written: Callable[[str], str]) -> None:
    values = {"Zoë", 'O"Ha\\ra', "Łódź\u2028"}

    for value in values:
        assert found(values, f"line {written(value)} of the log") == {value}
    assert found(values, "another line") == set()
