"""The function of the task CreateAccount."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from onboarding.adapters import accounts
from onboarding.domain.errors import EmailAlreadyRegistered, EmailClaimPending
from tests.customers import a_customer
from tests.invocations import a_customer_task
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, failing, losing_the_answer, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "create_account"


def test_a_pending_account_is_created_and_the_address_claimed(runtime: Runtime, customers_table: Table) -> None:
    customer = a_customer(email="Ada@example.com", address={"city": "London"})

    task = a_customer_task(customerId="ada", correlationId="request", customerData=customer)
    created = runtime.invoke(FUNCTION, task)

    account = customers_table.items["CUSTOMER#ada"]
    assert created == {"accountId": account["accountId"]["S"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", account.pop("createdAt")["S"])
    assert customers_table.items.keys() == {"CUSTOMER#ada", "EMAIL#ada@example.com"}
    assert customers_table.items["EMAIL#ada@example.com"]["customerId"] == {"S": "ada"}
    assert account == {
        "pk": {"S": "CUSTOMER#ada"},
        "customerId": {"S": "ada"},
        "accountId": {"S": created["accountId"]},
        "status": {"S": "PENDING"},
        "customerData": {
            "M": {
                "firstName": {"S": "Ada"},
                "lastName": {"S": "Lovelace"},
                "email": {"S": "Ada@example.com"},
                "address": {"M": {"city": {"S": "London"}}},
            }
        },
    }
    (line,) = runtime.log
    assert (line["message"], line["account_id"]) == ("Account created", created["accountId"])
    assert (line["customer_id"], line["correlation_id"]) == ("ada", "request")


def test_a_customer_gets_one_account_however_often_it_is_created(runtime: Runtime, customers_table: Table) -> None:
    task = a_customer_task()

    first = runtime.invoke(FUNCTION, task)
    after_first = customers_table.items
    second = runtime.invoke(FUNCTION, task)

    assert second == first
    assert customers_table.items == after_first


@pytest.mark.parametrize(("holder", "error"), [("ACTIVE", EmailAlreadyRegistered), ("PENDING", EmailClaimPending)])
def test_an_address_belongs_to_one_customer(
    holder: str, error: type[Exception], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    runtime.invoke(FUNCTION, a_customer_task(customerId="ada", customerData=a_customer(email="ada@example.com")))
    item = customers_table.items["CUSTOMER#ada"] | {"status": {"S": holder}}
    functions[FUNCTION].dynamodb.put_item(TableName=customers_table.name, Item=item)
    before = customers_table.items

    for _ in range(2):
        with pytest.raises(error) as raised:
            runtime.invoke(
                FUNCTION, a_customer_task(customerId="eve", customerData=a_customer(email="ａDA@Example.com"))
            )
        assert str(raised.value) == ""

    assert customers_table.items == before
    assert {line["level"] for line in runtime.log} == {"INFO"}


def test_claim_of_a_missing_account_is_pending(runtime: Runtime, functions: Functions, customers_table: Table) -> None:
    claim = {"pk": {"S": "EMAIL#ada@example.com"}, "customerId": {"S": "erased-just-now"}}
    functions[FUNCTION].dynamodb.put_item(TableName=customers_table.name, Item=claim)

    with pytest.raises(EmailClaimPending):
        runtime.invoke(FUNCTION, a_customer_task(customerData=a_customer(email="ada@example.com")))


def test_transaction_in_conflict_is_repeated(
    runtime: Runtime, functions: Functions, customers_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "time", SimpleNamespace(sleep=lambda _: None))
    dynamodb, reasons = functions[FUNCTION].dynamodb, [{"Code": "TransactionConflict"}, {"Code": "None"}]
    conflicts = [
        dynamodb.exceptions.TransactionCanceledException(
            {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}, "TransactWriteItems"
        )
        for _ in range(2)
    ]

    with failing(dynamodb, "TransactWriteItems", *conflicts):
        created = runtime.invoke(FUNCTION, a_customer_task(customerId="ada"))

    assert customers_table.items["CUSTOMER#ada"]["accountId"] == {"S": created["accountId"]}


@pytest.mark.parametrize(
    ("code", "reasons"),
    [
        ("ThrottlingException", []),
        ("TransactionCanceledException", ["None", "ProvisionedThroughputExceeded"]),
        ("TransactionCanceledException", ["TransactionConflict", "ThrottlingError"]),
    ],
)
def test_refusal_fails_and_a_retry_creates_the_account(
    code: str, reasons: list[str], runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    task = a_customer_task()
    fields: dict[str, Any] = {"CancellationReasons": [{"Code": reason} for reason in reasons]} if reasons else {}

    with (
        refusing(functions[FUNCTION].dynamodb, "transact_write_items", code, **fields),
        pytest.raises(ClientError, match=code),
    ):
        runtime.invoke(FUNCTION, task)

    assert customers_table.items == {}
    assert runtime.invoke(FUNCTION, task)["accountId"]


def test_an_answer_that_got_lost_makes_no_second_account(
    runtime: Runtime, functions: Functions, customers_table: Table
) -> None:
    task = a_customer_task()
    (lost, *_) = OUT_OF_REACH
    with losing_the_answer(functions[FUNCTION].dynamodb, "TransactWriteItems", lost), pytest.raises(type(lost)):
        runtime.invoke(FUNCTION, task)
    before = customers_table.items

    account_id = runtime.invoke(FUNCTION, task)["accountId"]

    assert customers_table.items == before
    assert before["CUSTOMER#" + task["customerId"]]["accountId"] == {"S": account_id}
