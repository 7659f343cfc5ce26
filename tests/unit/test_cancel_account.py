"""The function of the task CancelAccount."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError

from tests.customers import a_customer
from tests.invocations import a_customer_task
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, losing_the_answer, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "cancel_account"


@pytest.fixture
def task(runtime: Runtime, customers_table: Table) -> dict[str, Any]:
    """The task of a customer, whose account is pending."""
    task = a_customer_task(customerId="ada", customerData=a_customer(email="Ada@example.com"))
    runtime.invoke("create_account", task)
    return task


def status(customers_table: Table, customer_id: str) -> str:
    return str(customers_table.items[f"CUSTOMER#{customer_id}"]["status"]["S"])


def test_an_account_is_cancelled_and_its_address_is_free(
    task: dict[str, Any], runtime: Runtime, customers_table: Table
) -> None:
    account = customers_table.items["CUSTOMER#ada"]

    assert runtime.invoke(FUNCTION, task) is None

    assert customers_table.items == {"CUSTOMER#ada": account | {"status": {"S": "CANCELLED"}}}
    assert runtime.invoke(FUNCTION, task) is None
    assert customers_table.items == {"CUSTOMER#ada": account | {"status": {"S": "CANCELLED"}}}


def test_the_address_can_be_registered_again_by_another_customer_id(
    task: dict[str, Any], runtime: Runtime, customers_table: Table
) -> None:
    runtime.invoke(FUNCTION, task)

    assert runtime.invoke("create_account", task | {"customerId": "ada-again"})["accountId"]

    assert (status(customers_table, "ada"), status(customers_table, "ada-again")) == ("CANCELLED", "PENDING")
    assert customers_table.items["EMAIL#ada@example.com"]["customerId"] == {"S": "ada-again"}
    before = customers_table.items
    runtime.invoke(FUNCTION, task)  # leaves the address to the customer who has it now
    assert customers_table.items == before


def test_an_address_of_another_customer_is_not_freed(
    task: dict[str, Any], runtime: Runtime, customers_table: Table
) -> None:
    eve = a_customer(email="eve@example.com")
    runtime.invoke("create_account", a_customer_task(customerId="eve", customerData=eve))
    before = customers_table.items

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        runtime.invoke(FUNCTION, task | {"customerData": eve})

    assert customers_table.items == before


def test_an_active_account_is_not_cancelled(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    active = customers_table.items["CUSTOMER#ada"] | {"status": {"S": "ACTIVE"}}
    functions[FUNCTION].dynamodb.put_item(TableName=customers_table.name, Item=active)
    before = customers_table.items

    with pytest.raises(ClientError, match="TransactionCanceledException"):
        runtime.invoke(FUNCTION, task)

    assert customers_table.items == before


def test_an_account_that_was_never_created_is_not_cancelled(runtime: Runtime, customers_table: Table) -> None:
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        runtime.invoke(FUNCTION, a_customer_task())

    assert customers_table.items == {}


def test_what_dynamodb_refuses_fails_and_a_retry_cancels(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    with (
        refusing(functions[FUNCTION].dynamodb, "transact_write_items", "ThrottlingException"),
        pytest.raises(ClientError, match="ThrottlingException"),
    ):
        runtime.invoke(FUNCTION, task)
    assert status(customers_table, "ada") == "PENDING"

    runtime.invoke(FUNCTION, task)

    assert status(customers_table, "ada") == "CANCELLED"


def test_a_conflict_with_another_transaction_fails_and_a_retry_cancels(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
    dynamodb = functions[FUNCTION].dynamodb
    with (
        refusing(dynamodb, "transact_write_items", "TransactionCanceledException", CancellationReasons=reasons),
        pytest.raises(dynamodb.exceptions.TransactionCanceledException),
    ):
        runtime.invoke(FUNCTION, task)

    runtime.invoke(FUNCTION, task)

    assert status(customers_table, "ada") == "CANCELLED"


def test_an_answer_that_got_lost_is_made_up_for_by_a_retry(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    (lost, *_) = OUT_OF_REACH
    with losing_the_answer(functions[FUNCTION].dynamodb, "TransactWriteItems", lost), pytest.raises(type(lost)):
        runtime.invoke(FUNCTION, task)

    assert runtime.invoke(FUNCTION, task) is None

    assert status(customers_table, "ada") == "CANCELLED"


def test_a_cancelled_account_is_not_created_again_by_a_late_try(
    task: dict[str, Any], runtime: Runtime, customers_table: Table
) -> None:
    runtime.invoke(FUNCTION, task)
    before = customers_table.items

    runtime.invoke("create_account", task)

    assert customers_table.items == before


def test_every_line_of_the_log_names_the_customer_and_the_request(task: dict[str, Any], runtime: Runtime) -> None:
    runtime.invoke(FUNCTION, task | {"correlationId": "request"})

    *_, line = runtime.log
    assert line["message"] == "Account cancelled"
    assert (line["customer_id"], line["correlation_id"]) == ("ada", "request")


def test_a_malformed_task_fails_and_says_what_is_wrong_with_it(runtime: Runtime) -> None:
    with pytest.raises(ValidationError, match="customerId"):
        runtime.invoke(FUNCTION, a_customer_task(customerId="no name/for an execution"))
