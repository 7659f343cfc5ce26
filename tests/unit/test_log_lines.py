"""The log of an unexpected error. For each sample's lines see test_sample_events.py."""

import json

import pytest

from tests.customers import a_customer
from tests.invocations import a_batch, a_customer_task, a_registration, an_api_request
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, failing
from tests.unit.personal_data import found, typed
from tests.unit.runtime import Runtime
from tests.unit.table import Table

(LOST, *_) = OUT_OF_REACH


def test_unexpected_error_names_the_customer(functions: Functions, runtime: Runtime, customers_table: Table) -> None:
    with failing(functions["create_account"].dynamodb, "TransactWriteItems", LOST), pytest.raises(type(LOST)):
        runtime.invoke("create_account", a_customer_task(customerId="ada", correlationId="request"))

    (line,) = runtime.log
    assert (line["level"], line["exception_name"]) == ("ERROR", type(LOST).__name__)
    assert (line["customer_id"], line["correlation_id"]) == ("ada", "request")
    assert "Traceback" in line["exception"]


def test_personal_data_in_a_log_is_found() -> None:
    """Each test with a runtime ends with this check (tests/unit/runtime.py)."""
    customer = a_customer(firstName="Zoë", lastName='O"Hara', address={"city": "Łódź", "country": "PL"})
    values = {"Zoë", 'O"Hara', "Łódź", customer["email"]}

    for event in (
        an_api_request(customer),
        a_batch(a_registration(data=customer)),
        a_customer_task(customerData=customer),
    ):
        assert typed(event) == values
    for text in map(str, ([*values], json.dumps([*values]), customer)):
        assert found(values, text) == values
