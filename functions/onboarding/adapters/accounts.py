"""The customers table: the customers, and the claims on their e-mail addresses.

It has two kinds of item: `CUSTOMER#{customerId}` is the customer with the account, `EMAIL#{address}` is a customer's
claim on an e-mail address. One transaction writes both, which makes the address unique. An erased customer leaves a
tombstone: the customer's item with the status ERASED, and no data. https://aws.amazon.com/blogs/database/simulating-amazon-dynamodb-unique-constraints-using-transactions/
"""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from onboarding.adapters import tombstones
from onboarding.adapters.transactions import transact
from onboarding.domain.errors import AccountCancelled, AccountErased, EmailAlreadyRegistered, EmailClaimPending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from onboarding.domain.customer import CustomerData

_KEY = "pk"
_CONDITION_FAILED = "ConditionalCheckFailed"


@dataclass(frozen=True)
class Customer:
    """A customer as kept: the account, its status (PENDING, ACTIVE or CANCELLED), and the JSON of `CustomerData`."""

    account_id: str
    status: str
    customer_data: dict[str, Any]


def email_key(address: str) -> str:
    """Return the form of an address that is unique: NFKC and lower case."""
    return unicodedata.normalize("NFKC", address).lower()


def create_account(customer_id: str, customer: CustomerData, *, dynamodb: DynamoDBClient, table_name: str) -> str:
    """Create the customer's account, in status PENDING, and return its accountId.

    A repeated call changes nothing and returns the same accountId.

    Raises:
        EmailAlreadyRegistered: another customer with an active account has the e-mail address.
        EmailClaimPending: another customer, whose account is pending, claims the e-mail address.
        AccountCancelled: the customer's account was cancelled.
        AccountErased: the customer was erased.
        botocore.exceptions.ClientError: DynamoDB refused.
    """
    account_id = str(uuid4())
    account = {
        _KEY: f"CUSTOMER#{customer_id}",
        "customerId": customer_id,
        "accountId": account_id,
        "status": "PENDING",
        "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "customerData": customer.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    email = {_KEY: f"EMAIL#{email_key(customer.email)}", "customerId": customer_id}
    try:
        transact([_put_once(account, table_name), _put_once(email, table_name)], dynamodb)
    except dynamodb.exceptions.TransactionCanceledException as error:
        account_refused, email_refused = error.response["CancellationReasons"]
        if account_refused["Code"] == _CONDITION_FAILED:  # an earlier call created it
            existing: Mapping[str, Any] = account_refused["Item"]
            if existing["status"]["S"] == "CANCELLED":
                raise AccountCancelled from None
            if existing["status"]["S"] == "ERASED":
                raise AccountErased from None
            return str(existing["accountId"]["S"])
        if email_refused["Code"] == _CONDITION_FAILED:
            claim: Mapping[str, Any] = email_refused["Item"]
            holder = find(claim["customerId"]["S"], dynamodb=dynamodb, table_name=table_name)
            if holder and holder.status == "ACTIVE":
                raise EmailAlreadyRegistered from None
            raise EmailClaimPending from None
        raise
    return account_id


def cancel_account(customer_id: str, customer: CustomerData, *, dynamodb: DynamoDBClient, table_name: str) -> None:
    """Cancel the customer's pending account and free the e-mail address; a repeated call changes nothing.

    Raises:
        botocore.exceptions.ClientError: DynamoDB refused, or the customer has no pending account.
    """
    names, values = {"#status": "status"}, {":pending": {"S": "PENDING"}, ":cancelled": {"S": "CANCELLED"}}
    cancel: TransactWriteItemTypeDef = {
        "Update": {
            "TableName": table_name,
            "Key": {_KEY: {"S": f"CUSTOMER#{customer_id}"}},
            "UpdateExpression": "SET #status = :cancelled",
            "ConditionExpression": "#status = :pending",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }
    free: TransactWriteItemTypeDef = {
        "Delete": {
            "TableName": table_name,
            "Key": {_KEY: {"S": f"EMAIL#{email_key(customer.email)}"}},
            "ConditionExpression": "customerId = :customer",
            "ExpressionAttributeValues": {":customer": {"S": customer_id}},
        }
    }
    try:
        transact([cancel, free], dynamodb)
    except dynamodb.exceptions.TransactionCanceledException as error:
        refused: Mapping[str, Any] = error.response["CancellationReasons"][0]
        if refused.get("Item", {}).get("status") not in ({"S": "CANCELLED"}, {"S": "ERASED"}):  # an earlier call did it
            raise


def find(customer_id: str, *, dynamodb: DynamoDBClient, table_name: str) -> Customer | None:
    """Return the customer, if there is an account; an erased customer has none."""
    item = dynamodb.get_item(
        TableName=table_name, Key={_KEY: {"S": f"CUSTOMER#{customer_id}"}}, ConsistentRead=True
    ).get("Item")
    if item is None or item["status"] == {"S": "ERASED"}:
        return None
    return Customer(item["accountId"]["S"], item["status"]["S"], _plain(item["customerData"]))


def status_of(customer_id: str, *, dynamodb: DynamoDBClient, table_name: str) -> str | None:
    """The status of the customer's account: PENDING, ACTIVE, CANCELLED, ERASED, or None without one.

    Reads nothing personal; may lag by a second.
    """
    item = dynamodb.get_item(
        TableName=table_name,
        Key={_KEY: {"S": f"CUSTOMER#{customer_id}"}},
        ProjectionExpression="#status",
        ExpressionAttributeNames={"#status": "status"},
    ).get("Item")
    return item["status"]["S"] if item else None


def erase(customer_id: str, *, dynamodb: DynamoDBClient, table_name: str) -> None:
    """Erase the customer and the account, free the e-mail address, and leave a tombstone; may be repeated.

    The item is marked first, so that nothing else changes it, and emptied last: it has the address for a repeated call.
    """
    key = {_KEY: {"S": f"CUSTOMER#{customer_id}"}}
    marked = dynamodb.update_item(
        TableName=table_name,
        Key=key,
        UpdateExpression="SET #status = :erased",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":erased": {"S": "ERASED"}},
        ReturnValues="ALL_NEW",
    )["Attributes"]
    if "customerData" in marked:
        # If the address was freed before, it may be another customer's by now.
        with suppress(dynamodb.exceptions.ConditionalCheckFailedException):
            dynamodb.delete_item(
                TableName=table_name,
                Key={_KEY: {"S": f"EMAIL#{email_key(_plain(marked['customerData'])['email'])}"}},
                ConditionExpression="customerId = :customer",
                ExpressionAttributeValues={":customer": {"S": customer_id}},
            )
    tombstone = {"customerId": {"S": customer_id}, "status": {"S": "ERASED"}, "expiresAt": tombstones.expiry()}
    dynamodb.put_item(TableName=table_name, Item={**key, **tombstone})


def _put_once(item: dict[str, Any], table_name: str) -> TransactWriteItemTypeDef:
    return {
        "Put": {
            "TableName": table_name,
            "Item": _attribute(item)["M"],
            "ConditionExpression": "attribute_not_exists(#key)",
            "ExpressionAttributeNames": {"#key": _KEY},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    }


def _plain(value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a text, a truth value, or a map of them
    """Undo `_attribute`."""
    ((kind, content),) = value.items()
    return {name: _plain(part) for name, part in content.items()} if kind == "M" else content


def _attribute(value: object) -> dict[str, Any]:
    """Return a text, a truth value, or a map of them as DynamoDB's JSON."""
    if isinstance(value, dict):
        return {"M": {name: _attribute(part) for name, part in value.items()}}
    return {"BOOL" if isinstance(value, bool) else "S": value}
