"""The function of the task CancelAccount."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from onboarding.domain.errors import AccountCancelled
from tests.customers import a_customer
from tests.invocations import a_customer_task
from tests.unit.deployment import Functions
from tests.unit.faults import refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "cancel_account"


@pytest.fixture
def task(runtime: Runtime, customers_table: Table) -> dict[str, Any]:
    """The task of a customer, whose account is pending."""
    task = a_customer_task(customerId="ada", customerData=a_customer(email="Ada@example.com"))
    runtime.invoke("create_account", task)
    return task


def test_cancellation_frees_the_address(task: dict[str, Any], runtime: Runtime, customers_table: Table) -> None:
    account = customers_table.items["CUSTOMER#ada"]

    for _ in range(2):
        assert runtime.invoke(FUNCTION, task | {"correlationId": "request"}) is None
        assert customers_table.items == {"CUSTOMER#ada": account | {"status": {"S": "CANCELLED"}}}
    *_, line = runtime.log
    assert (line["message"], line["customer_id"], line["correlation_id"]) == ("Account cancelled", "ada", "request")


def test_next_customer_keeps_freed_address(task: dict[str, Any], runtime: Runtime, customers_table: Table) -> None:
    runtime.invoke(FUNCTION, task)
    assert runtime.invoke("create_account", task | {"customerId": "ada-again"})["accountId"]
    before = customers_table.items
    assert before["CUSTOMER#ada-again"]["status"] == {"S": "PENDING"}
    assert before["EMAIL#ada@example.com"]["customerId"] == {"S": "ada-again"}

    runtime.invoke(FUNCTION, task)

    assert customers_table.items == before


def test_cancelled_account_is_not_created_again(task: dict[str, Any], runtime: Runtime, customers_table: Table) -> None:
    runtime.invoke(FUNCTION, task)
    before = customers_table.items

    with pytest.raises(AccountCancelled):
        runtime.invoke("create_account", task)  # a late try

    assert customers_table.items == before


def test_only_a_pending_account_is_cancelled(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    eve = a_customer_task(customerId="eve", customerData=a_customer(email="eve@example.com"))
    runtime.invoke("create_account", eve)
    active = customers_table.items["CUSTOMER#ada"] | {"status": {"S": "ACTIVE"}}
    functions[FUNCTION].dynamodb.put_item(TableName=customers_table.name, Item=active)
    with_address_of_another = eve | {"customerData": task["customerData"]}
    before = customers_table.items

    for refused in (task, with_address_of_another, a_customer_task(customerId="unknown")):
        with pytest.raises(ClientError, match="TransactionCanceledException"):
            runtime.invoke(FUNCTION, refused)

    assert customers_table.items == before


def test_throttled_cancellation_can_be_retried(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    code, reasons = "TransactionCanceledException", [{"Code": "ThrottlingError"}, {"Code": "None"}]
    with (
        refusing(functions[FUNCTION].dynamodb, "transact_write_items", code, CancellationReasons=reasons),
        pytest.raises(ClientError, match=code),
    ):
        runtime.invoke(FUNCTION, task)
    assert customers_table.items["CUSTOMER#ada"]["status"] == {"S": "PENDING"}

    runtime.invoke(FUNCTION, task)

    assert customers_table.items["CUSTOMER#ada"]["status"] == {"S": "CANCELLED"}
