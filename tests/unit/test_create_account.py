"""The function of the task CreateAccount."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.documents import examples
from onboarding.adapters import accounts, transactions
from onboarding.domain.customer import CustomerData, RegistrationForm
from onboarding.domain.errors import EmailAlreadyRegistered, EmailClaimPending
from onboarding.domain.validation import validate
from tests.customers import a_customer
from tests.invocations import a_customer_task
from tests.unit.deployment import Functions
from tests.unit.faults import conflict, failing, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "create_account"


def test_pending_account_claims_the_address(runtime: Runtime, customers_table: Table) -> None:
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


def test_every_field_of_the_customer_is_kept(functions: Functions, customers_table: Table) -> None:
    one_name = examples.registration() | {
        "lastName": "",
        "phone": "+1 924 555 0143",
    }  # which is in no range known to be assigned
    customer = validate(RegistrationForm.model_validate(one_name).customer())
    table: dict[str, Any] = {"dynamodb": functions[FUNCTION].dynamodb, "table_name": customers_table.name}

    accounts.create_account("ada", customer, **table)

    kept = accounts.find("ada", **table)
    assert kept
    assert CustomerData.model_validate(kept.customer_data) == customer
    lost = [name for name in CustomerData.model_fields if getattr(customer, name) is None]
    assert not lost, f"functions/onboarding/domain/: RegistrationForm or validate() loses {', '.join(lost)}"


def test_repeated_creation_changes_nothing(runtime: Runtime, customers_table: Table) -> None:
    task = a_customer_task()

    first = runtime.invoke(FUNCTION, task)
    after_first = customers_table.items
    second = runtime.invoke(FUNCTION, task)

    assert second == first
    assert customers_table.items == after_first


@pytest.mark.parametrize(("holder", "error"), [("ACTIVE", EmailAlreadyRegistered), ("PENDING", EmailClaimPending)])
def test_address_belongs_to_one_customer(
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
    monkeypatch.setattr(transactions, "time", SimpleNamespace(sleep=lambda _: None))
    dynamodb = functions[FUNCTION].dynamodb

    with failing(dynamodb, "TransactWriteItems", *[conflict(dynamodb)] * 2):
        created = runtime.invoke(FUNCTION, a_customer_task(customerId="ada"))

    assert customers_table.items["CUSTOMER#ada"]["accountId"] == {"S": created["accountId"]}


def test_throttled_creation_can_be_retried(runtime: Runtime, functions: Functions, customers_table: Table) -> None:
    task = a_customer_task()
    code, reasons = "TransactionCanceledException", [{"Code": "TransactionConflict"}, {"Code": "ThrottlingError"}]

    with (
        refusing(functions[FUNCTION].dynamodb, "transact_write_items", code, CancellationReasons=reasons),
        pytest.raises(ClientError, match=code),
    ):
        runtime.invoke(FUNCTION, task)

    assert customers_table.items == {}
    assert runtime.invoke(FUNCTION, task)["accountId"]
