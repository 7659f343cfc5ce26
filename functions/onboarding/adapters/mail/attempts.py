"""The attempts to send a welcome e-mail: one, and one more if the outcome of the first is unknown.

SES has no idempotency token, so an attempt is counted before the call. A customer's item in the idempotency table:

    attempt     the id of the last attempt
    begun       the attempts that may have sent the e-mail, 0 to 2
    lost        how many of these ended without an answer; one fewer than `begun` while an attempt is in progress
    data        SES's message id as JSON, once the e-mail is known to be sent; release 1.0 kept it under the same key
    expiration  later than an execution can run (13 days) and then be redriven (14 days)
    erased      the customer was erased, and nothing else of this is left

Powertools' `status` and `in_progress_expiration` are for release 1.0, which reads the item in a canary or after a
rollback.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from onboarding.adapters import tombstones
from onboarding.domain.errors import AccountErased, EmailOutcomeUnknown, EmailUnconfirmed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_KEPT_SECONDS = 30 * 24 * 60 * 60


class Attempts:
    """The attempts to send the welcome e-mail to one customer.

    Each method raises botocore's ClientError, ConnectionError or HTTPClientError if DynamoDB fails.
    """

    def __init__(self, customer_id: str, *, dynamodb: DynamoDBClient, table_name: str) -> None:
        self._dynamodb = dynamodb
        self._table_name = table_name
        self._attempt = str(uuid4())
        self._id = f"send_welcome_email#{sha256(json.dumps(customer_id).encode()).hexdigest()}"

    def begin(self) -> str | None:
        """Count an attempt; return SES's message id instead if the e-mail is known to be sent.

        Raises:
            EmailOutcomeUnknown: the attempt before was interrupted. The next call counts another attempt.
            EmailUnconfirmed: the outcome of each attempt is unknown, and none is left.
            AccountErased: the customer was erased.
        """
        try:
            self._update(
                "SET expiration = :expiration, attempt = :attempt, #status = :in_progress,"
                " in_progress_expiration = :now ADD begun :one, lost :none",
                "attribute_not_exists(erased) AND attribute_not_exists(#data)"
                " AND (attribute_not_exists(begun) OR (begun = lost AND begun < :most))",
                {
                    ":attempt": {"S": self._attempt},
                    ":one": {"N": "1"},
                    ":none": {"N": "0"},
                    ":most": {"N": "2"},
                    ":expiration": {"N": str(int(time.time()) + _KEPT_SECONDS)},
                    ":in_progress": {"S": "INPROGRESS"},
                    ":now": {"N": str(int(time.time() * 1000))},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            response: Mapping[str, Any] = error.response
            item = response["Item"]
            if "erased" in item:
                raise AccountErased from None
            if "data" in item:
                return str(json.loads(item["data"]["S"]))
            if item["attempt"] == {"S": self._attempt}:  # it was counted, and botocore called again
                return None
            if item["begun"] == item["lost"]:
                raise EmailUnconfirmed from None
            self.lose()
            raise EmailOutcomeUnknown("Interrupted") from None
        return None

    def withdraw(self) -> None:
        """Don't count the attempt: it sent nothing."""
        self._settle("begun", -1)

    def lose(self) -> None:
        """Record that the outcome of the attempt is unknown."""
        self._settle("lost", 1)

    def succeed(self, message_id: str) -> None:
        """Record that the e-mail was sent, unless its record has expired or was erased."""
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._update(
                "SET #data = :data, #status = :completed",
                "attribute_exists(id) AND attribute_not_exists(erased)",
                {":data": {"S": json.dumps(message_id)}, ":completed": {"S": "COMPLETED"}},
            )

    def erase(self) -> None:
        """Replace the record by a tombstone: no e-mail is sent to this customer any more."""
        tombstone: dict[str, AttributeValueTypeDef] = {"erased": {"BOOL": True}, "expiration": tombstones.expiry()}
        self._dynamodb.put_item(TableName=self._table_name, Item={"id": {"S": self._id}, **tombstone})

    def _settle(self, counter: str, change: int) -> None:
        """Change a counter, unless the attempt is settled: by another call, or because SES has reported the e-mail."""
        condition = "begun > lost AND attribute_not_exists(#data)"
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._update(f"ADD {counter} :change", condition, {":change": {"N": str(change)}})

    def _update(self, update: str, condition: str, values: dict[str, AttributeValueTypeDef]) -> None:
        self._dynamodb.update_item(
            TableName=self._table_name,
            Key={"id": {"S": self._id}},
            UpdateExpression=update,
            ConditionExpression=condition,
            # Reserved words. DynamoDB refuses a name that isn't used.
            ExpressionAttributeNames={
                f"#{name}": name for name in ("data", "status") if f"#{name}" in update + condition
            },
            ExpressionAttributeValues=values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
