"""The confirmations of e-mail addresses: who is asked, by which codes, and whether they confirmed.

A customer's item in the idempotency table, `email_confirmation#{customerId}`:

    taskToken     the newest token of the state that waits: each attempt of it has another one
    codes         digests of the codes that were mailed: each of them confirms, so that no e-mail is ever out of date
    attempts      how many wrong codes are still allowed; each e-mail adds ten
    expiresAt     until when the workflow waits
    mail          who gets the e-mails, as JSON; removed once the address is confirmed, or the time is over
    page          where the customer uses it, empty if that is unknown
    confirmedAt   when the customer confirmed
    expired       nobody did: the workflow has gone on
    expiration    later than an execution can run (13 days) and then be redriven (14 days)
    erased        the customer is to be erased, or was; then nothing of this is left but `expired`
    lastToken     what was the task token, until the customer is erased: by it the workflow is woken, and ends
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from onboarding.adapters import tombstones
from onboarding.domain.errors import AccountErased

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

# The condition of a write: the workflow waits for the customer.
WAITING = "attribute_exists(taskToken) AND attribute_not_exists(confirmedAt) AND attribute_not_exists(expired)"


class Confirmation:
    """The confirmation of one customer's e-mail address: what others need to know of it.

    Each method raises botocore's ClientError, ConnectionError or HTTPClientError if DynamoDB fails.
    """

    def __init__(self, customer_id: str, *, dynamodb: DynamoDBClient, table_name: str) -> None:
        self._customer_id = customer_id
        self._dynamodb = dynamodb
        self._table_name = table_name
        self._id = f"email_confirmation#{customer_id}"

    def is_confirmed(self) -> bool:
        """Whether the customer confirmed the address. Raises `AccountErased`."""
        item = self._get("confirmedAt, erased")
        if "erased" in item:
            raise AccountErased
        return "confirmedAt" in item

    def awaited_until(self) -> datetime | None:
        """Until when the workflow waits for the customer; None if it doesn't. Reads nothing personal."""
        item = self._get("expiresAt, confirmedAt, expired")
        return datetime.fromisoformat(item["expiresAt"]["S"]) if item.keys() == {"expiresAt"} else None

    def withdraw(self) -> str | None:
        """Have no code work any more, if the workflow waits; return the newest token. May be repeated.

        Returns None if the workflow doesn't wait: the customer may just have confirmed.
        """
        try:
            item: Mapping[str, Any] = self._dynamodb.update_item(
                TableName=self._table_name,
                Key={"id": {"S": self._id}},
                UpdateExpression="SET erased = :yes, lastToken = taskToken"
                " REMOVE taskToken, codes, attempts, expiresAt, mail, page",
                ConditionExpression=WAITING,
                ExpressionAttributeValues={":yes": {"BOOL": True}},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )["Attributes"]
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            response: Mapping[str, Any] = error.response
            item = response.get("Item", {})
        return str(item["lastToken"]["S"]) if "lastToken" in item else None

    def erase(self) -> None:
        """Replace the item by a tombstone: nobody is asked any more."""
        tombstone: dict[str, AttributeValueTypeDef] = {"erased": {"BOOL": True}, "expiration": tombstones.expiry()}
        self._dynamodb.put_item(TableName=self._table_name, Item={"id": {"S": self._id}, **tombstone})

    def _get(self, attributes: str) -> Mapping[str, Any]:
        return self._dynamodb.get_item(
            TableName=self._table_name,
            Key={"id": {"S": self._id}},
            ProjectionExpression=attributes,
            ConsistentRead=True,
        ).get("Item", {})
