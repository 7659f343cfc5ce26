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

A code is 120 random bits, so nobody finds it from its digest: a key, which somebody would have to hold, protects no
better. The e-mails of a day are counted in items of their own, for the customer and for the address, so that nobody
can have a stranger mailed often, by many registrations either.
"""

from __future__ import annotations

import re
import secrets
import time
from base64 import b32encode
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from onboarding.adapters import tombstones
from onboarding.adapters.accounts import email_key
from onboarding.domain.errors import AccountErased
from onboarding.domain.tasks import Recipient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from onboarding.domain.tasks import ConfirmationTask

_KEPT_SECONDS = 30 * 24 * 60 * 60
_COUNTED_SECONDS = 2 * 24 * 60 * 60
_WRONG_CODES = 10
_MAILS_A_DAY = {"customer": 3, "address": 5}
# The condition of a write: the workflow waits for the customer.
_WAITING = "attribute_exists(taskToken) AND attribute_not_exists(confirmedAt) AND attribute_not_exists(expired)"


class NothingToConfirm(Exception):
    """The customer is unknown or erased, or was never asked."""


class ConfirmationExpired(Exception):
    """The customer was asked, and the time is over."""


class TooManyWrongCodes(Exception):
    """No code is accepted until another e-mail is sent."""


class WrongCode(Exception):
    """The code was never mailed to this customer; so many attempts are left."""

    def __init__(self, attempts_left: int) -> None:
        super().__init__(attempts_left)
        self.attempts_left = attempts_left


class PendingConfirmation(NamedTuple):
    """The workflow waits for a customer: who gets the e-mails, the page where a code is used, and until when."""

    recipient: Recipient
    page: str
    expires_at: datetime


class Confirmation:
    """The confirmation of one customer's e-mail address.

    Each method raises botocore's ClientError, ConnectionError or HTTPClientError if DynamoDB fails.
    """

    def __init__(self, customer_id: str, *, dynamodb: DynamoDBClient, table_name: str) -> None:
        self._customer_id = customer_id
        self._dynamodb = dynamodb
        self._table_name = table_name
        self._id = f"email_confirmation#{customer_id}"

    def begin(self, task: ConfirmationTask) -> PendingConfirmation | None:
        """Keep that the customer is asked, with the newest token; None if the address is confirmed already.

        Raises:
            AccountErased: the customer was erased.
        """
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=task.expires_in_seconds)
        recipient = Recipient.model_validate(task.model_dump())
        try:
            item = self._update(
                "SET taskToken = :token, expiresAt = :until, mail = :mail, page = :page, expiration = :expiration",
                "attribute_not_exists(confirmedAt) AND attribute_not_exists(erased)",
                {
                    ":token": {"S": task.task_token},
                    ":until": {"S": expires_at.isoformat()},
                    ":mail": {"S": recipient.model_dump_json(by_alias=True, exclude_none=True)},
                    ":page": {"S": task.page},
                    ":expiration": _after(_KEPT_SECONDS),
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            response: Mapping[str, Any] = error.response
            if "erased" in response["Item"]:
                raise AccountErased from None
            return None
        return _pending(item)

    def issue_code(self, address: str) -> str | None:
        """Count an e-mail, and return the code to mail; None if there were enough today, or nobody waits any more."""
        for key, most in self._counters(address):
            try:
                self._update(
                    "ADD mails :one SET expiration = :expiration",
                    "attribute_not_exists(mails) OR mails < :most",
                    {":one": {"N": "1"}, ":most": {"N": str(most)}, ":expiration": _after(_COUNTED_SECONDS)},
                    key,
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                return None
        code = b32encode(secrets.token_bytes(15)).decode()
        try:
            self._update(
                "ADD codes :digest, attempts :attempts",
                _WAITING,
                {":digest": {"SS": [self._digest(code)]}, ":attempts": {"N": str(_WRONG_CODES)}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return code

    def withdraw_code(self, code: str, address: str) -> None:
        """Forget the code, and don't count the e-mail: it was not sent."""
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._update(
                "DELETE codes :digest ADD attempts :less",
                _WAITING,
                {":digest": {"SS": [self._digest(code)]}, ":less": {"N": str(-_WRONG_CODES)}},
            )
        for key, _ in self._counters(address):
            with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
                self._update("ADD mails :less", "mails > :none", {":less": {"N": "-1"}, ":none": {"N": "0"}}, key)

    def confirm(self, code: str) -> str:
        """Confirm the address by a code, and return the newest task token. May be repeated.

        Only a wrong code that is still allowed costs a write.

        Raises:
            NothingToConfirm, ConfirmationExpired, TooManyWrongCodes, WrongCode: nothing is confirmed.
        """
        item = self._get("taskToken, codes, attempts, confirmedAt, expired")
        if "taskToken" not in item:
            raise NothingToConfirm
        if "expired" in item:
            raise ConfirmationExpired
        # The right code counts at any time: nobody finds it by guessing, and nobody's guesses may keep its owner out.
        if self._digest(code) not in item.get("codes", {"SS": []})["SS"]:
            if int(item.get("attempts", {"N": "0"})["N"]) <= 0:  # less, once an e-mail that was not sent is withdrawn
                raise TooManyWrongCodes
            raise WrongCode(self._count_wrong_code())
        try:
            confirmed = self._update(
                "SET confirmedAt = if_not_exists(confirmedAt, :now) REMOVE mail",
                "attribute_exists(taskToken) AND attribute_not_exists(expired)",
                {":now": {"S": datetime.now(UTC).isoformat()}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            response: Mapping[str, Any] = error.response
            raise ConfirmationExpired if "expired" in response.get("Item", {}) else NothingToConfirm from None
        return str(confirmed["taskToken"]["S"])

    def pending(self) -> PendingConfirmation | None:
        """What the workflow waits for, if it waits. After `expires_at` it does not, even if nobody recorded that."""
        item = self._get("mail, page, expiresAt")
        pending = _pending(item) if "mail" in item else None
        return pending if pending and datetime.now(UTC) < pending.expires_at else None

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
            item = self._update(
                "SET erased = :yes, lastToken = taskToken REMOVE taskToken, codes, attempts, expiresAt, mail, page",
                _WAITING,
                {":yes": {"BOOL": True}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
            response: Mapping[str, Any] = error.response
            item = response.get("Item", {})
        return str(item["lastToken"]["S"]) if "lastToken" in item else None

    def erase(self) -> None:
        """Replace the item by a tombstone: nobody is asked any more."""
        tombstone: dict[str, AttributeValueTypeDef] = {"erased": {"BOOL": True}, "expiration": tombstones.expiry()}
        self._dynamodb.put_item(TableName=self._table_name, Item={"id": {"S": self._id}, **tombstone})

    def _count_wrong_code(self) -> int:
        """Count it; return how many more are allowed. Raises `TooManyWrongCodes`: others used them up meanwhile."""
        try:
            counted = self._update(
                "ADD attempts :less", "attempts > :none", {":less": {"N": "-1"}, ":none": {"N": "0"}}
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            raise TooManyWrongCodes from None
        return int(counted["attempts"]["N"])

    def _counters(self, address: str) -> Iterator[tuple[str, int]]:
        """The items that count today's e-mails, in UTC, each with the most that it may count.

        An address counts without its tag, such as `+news`: most providers deliver both to one mailbox.
        """
        digest = sha256(re.sub(r"\+[^@]*@", "@", email_key(address)).encode()).hexdigest()
        for whose, value in (("customer", self._customer_id), ("address", digest)):
            yield f"confirmation_emails#{datetime.now(UTC).date()}#{whose}#{value}", _MAILS_A_DAY[whose]

    def _digest(self, code: str) -> str:
        """The digest of a code, however it was typed; of one customer alone."""
        return sha256(f"{self._customer_id}#{code.strip().upper()}".encode()).hexdigest()

    def _update(
        self, update: str, condition: str, values: dict[str, AttributeValueTypeDef], key: str | None = None
    ) -> Mapping[str, Any]:
        return self._dynamodb.update_item(
            TableName=self._table_name,
            Key={"id": {"S": key or self._id}},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )["Attributes"]

    def _get(self, attributes: str) -> Mapping[str, Any]:
        return self._dynamodb.get_item(
            TableName=self._table_name,
            Key={"id": {"S": self._id}},
            ProjectionExpression=attributes,
            ConsistentRead=True,
        ).get("Item", {})


def _pending(item: Mapping[str, Any]) -> PendingConfirmation:
    recipient = Recipient.model_validate_json(item["mail"]["S"])
    return PendingConfirmation(recipient, item["page"]["S"], datetime.fromisoformat(item["expiresAt"]["S"]))


def _after(seconds: int) -> AttributeValueTypeDef:
    return {"N": str(int(time.time()) + seconds)}
