"""The function of the task CancelAccount."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from onboarding.domain.errors import AccountCancelled
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


def status(customers_table: Table) -> str:
    return str(customers_table.items["CUSTOMER#ada"]["status"]["S"])


def test_an_account_is_cancelled_and_its_address_is_free(
    task: dict[str, Any], runtime: Runtime, customers_table: Table
) -> None:
    account = customers_table.items["CUSTOMER#ada"]

    for _ in range(2):
        assert runtime.invoke(FUNCTION, task | {"correlationId": "request"}) is None
        assert customers_table.items == {"CUSTOMER#ada": account | {"status": {"S": "CANCELLED"}}}
    *_, line = runtime.log
    assert (line["message"], line["customer_id"], line["correlation_id"]) == ("Account cancelled", "ada", "request")


def test_freed_address_is_the_next_customer_s(task: dict[str, Any], runtime: Runtime, customers_table: Table) -> None:
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
    assert runtime.log[-1]["level"] == "ERROR"

    assert customers_table.items == before


def test_an_address_of_another_customer_is_not_freed(
    task: dict[str, Any], runtime: Runtime, customers_table: Table
) -> None:
    eve = a_customer(email="eve@example.com")
    runtime.invoke("create_account", a_customer_task(customerId="eve", customerData=eve))

    assert_not_cancelled(task | {"customerData": eve}, runtime, customers_table)


def test_an_active_account_is_not_cancelled(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    active = customers_table.items["CUSTOMER#ada"] | {"status": {"S": "ACTIVE"}}
    functions[FUNCTION].dynamodb.put_item(TableName=customers_table.name, Item=active)

    assert_not_cancelled(task, runtime, customers_table)


def test_an_account_that_was_never_created_is_not_cancelled(runtime: Runtime, customers_table: Table) -> None:
    assert_not_cancelled(a_customer_task(), runtime, customers_table)


def assert_not_cancelled(task: dict[str, Any], runtime: Runtime, customers_table: Table) -> None:
    before = customers_table.items
    with pytest.raises(ClientError, match="TransactionCanceledException"):
        runtime.invoke(FUNCTION, task)
    assert customers_table.items == before


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("ThrottlingException", {}),
        ("TransactionCanceledException", {"CancellationReasons": [{"Code": "ThrottlingError"}, {"Code": "None"}]}),
    ],
)
def test_refusal_fails_and_a_retry_cancels(  # noqa: PLR0913, PLR0917 - the task's world
    code: str,
    fields: dict[str, Any],
    task: dict[str, Any],
    runtime: Runtime,
    functions: Functions,
    customers_table: Table,
) -> None:
    with (
        refusing(functions[FUNCTION].dynamodb, "transact_write_items", code, **fields),
        pytest.raises(ClientError, match=code),
    ):
        runtime.invoke(FUNCTION, task)
    assert status(customers_table) == "PENDING"

    runtime.invoke(FUNCTION, task)

    assert status(customers_table) == "CANCELLED"


def test_an_answer_that_got_lost_is_made_up_for_by_a_retry(
    task: dict[str, Any], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    (lost, *_) = OUT_OF_REACH
    with losing_the_answer(functions[FUNCTION].dynamodb, "TransactWriteItems", lost), pytest.raises(type(lost)):
        runtime.invoke(FUNCTION, task)

    assert runtime.invoke(FUNCTION, task) is None

    assert status(customers_table) == "CANCELLED"
