"""The timelines table: the events of each customer's onboarding, each once, without personal data.

The last poll of the execution is an entry too, which the public doesn't see; so are the last poll of any execution, and
the last one for an id without entries. An erased customer has a tombstone instead of entries.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AwareDatetime, model_validator

from onboarding.adapters import tombstones
from onboarding.adapters.bus import Envelope
from onboarding.domain.events import CustomerErased, Event
from onboarding.domain.meanings import TRACKED
from onboarding.domain.models import CustomerId, Message, sortable
from onboarding.domain.status import Entry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_ANY_CUSTOMER = "*"  # no customerId
_UNKNOWN = "UnknownDescribed"  # in place of an eventId
_TOMBSTONE = "CustomerErased"  # in place of an eventId


class ExecutionChange(Message):
    """What the template's rules pass on of Step Functions' event, whose input and output are personal.

    `changedAt` is when the execution stopped or was redriven, in milliseconds since 1970. The whole event, which has
    two dates instead, is understood too: EventBridge puts that in the dead-letter queue if it can't deliver.
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """

    name: CustomerId
    status: Literal["FAILED", "TIMED_OUT", "ABORTED", "RUNNING"]
    changed_at: AwareDatetime

    @model_validator(mode="before")
    @classmethod
    def _of_whole_event(cls, detail: dict[str, Any]) -> dict[str, Any]:
        date = "redriveDate" if detail.get("status") == "RUNNING" else "stopDate"
        return {"changedAt": detail.get(date)} | detail


def read(body: str) -> Entry | CustomerErased | None:
    """Return the entry for the event in an EventBridge envelope, or the erasure; None if the timeline doesn't keep it.

    Raises:
        pydantic.ValidationError: not an envelope, or the detail breaks the event's contract.
    """
    envelope = Envelope.model_validate_json(body)
    if envelope.source == "aws.states":
        change = ExecutionChange.model_validate(envelope.detail)
        return Entry.of_change(change.name, change.status, change.changed_at)
    event = envelope.event
    if isinstance(event, CustomerErased):
        return event
    return _of_event(event) if isinstance(event, TRACKED) else None


def keep(entry: Entry, *, dynamodb: "DynamoDBClient", table_name: str) -> bool:
    """Keep an entry once, unless the customer was erased. Of two with one eventId, the one that occurred earlier stays.

    Returns whether it changed anything.
    """
    return _put(entry, ">", entry.occurred_at, dynamodb, table_name)


def claim(poll: Entry, pause: timedelta, *, dynamodb: "DynamoDBClient", table_name: str) -> bool:
    """Keep a poll in place of the customer's last; False if it comes too soon after the last one of any customer."""
    of_any = poll.model_copy(update={"customer_id": _ANY_CUSTOMER})
    return _put(of_any, "<", poll.occurred_at - pause, dynamodb, table_name) and _put(
        poll, "<", poll.occurred_at, dynamodb, table_name
    )


def claim_unknown(poll: Entry, pause: timedelta, *, dynamodb: "DynamoDBClient", table_name: str) -> bool:
    """Whether enough time has passed since the last poll for an id without entries. Keeps nothing of this one."""
    of_any = poll.model_copy(update={"customer_id": _ANY_CUSTOMER, "event_id": _UNKNOWN})
    return _put(of_any, "<", poll.occurred_at - pause, dynamodb, table_name)


def entries_of(customer_id: str, *, dynamodb: "DynamoDBClient", table_name: str) -> list[Entry]:
    """Return a customer's entries, in no order.

    Raises:
        botocore.exceptions.ClientError, ConnectionError, HTTPClientError: DynamoDB refused, or is unreachable.
    """
    page = dynamodb.query(  # far below one page's 1 MB
        TableName=table_name,
        KeyConditionExpression="customerId = :customerId",
        ExpressionAttributeValues={":customerId": {"S": customer_id}},
        ConsistentRead=True,
    )
    return [Entry.model_validate_json(item["entry"]["S"]) for item in page["Items"] if "entry" in item]


def erase(customer_id: str, *, dynamodb: "DynamoDBClient", table_name: str) -> None:
    """Erase a customer's entries, and leave a tombstone: an entry that is put after it deletes itself again."""
    tombstone = _key(customer_id, _TOMBSTONE) | {"expiresAt": tombstones.expiry()}
    dynamodb.put_item(TableName=table_name, Item=tombstone)
    for entry in entries_of(customer_id, dynamodb=dynamodb, table_name=table_name):
        dynamodb.delete_item(TableName=table_name, Key=_key(customer_id, entry.event_id))


def _put(entry: Entry, comparison: str, time: datetime, dynamodb: "DynamoDBClient", table_name: str) -> bool:
    """Put an entry if there is none with its eventId, or if the time of that compares with this one.

    The tombstone is looked for afterwards: either this finds it, or the erasure finds the entry.
    """
    key, is_new = _key(entry.customer_id, entry.event_id), True
    try:
        dynamodb.put_item(
            TableName=table_name,
            Item={
                **key,
                "occurredAt": {"S": sortable(entry.occurred_at)},
                "entry": {"S": entry.model_dump_json(by_alias=True, exclude_none=True)},
            },
            ConditionExpression=f"attribute_not_exists(eventId) OR occurredAt {comparison} :time",
            ExpressionAttributeValues={":time": {"S": sortable(time)}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        is_new = False
    tombstone = dynamodb.get_item(
        TableName=table_name, Key=_key(entry.customer_id, _TOMBSTONE), ConsistentRead=True
    ).get("Item")
    if tombstone:
        dynamodb.delete_item(TableName=table_name, Key=key)
        return False
    return is_new


def _key(customer_id: str, event_id: str) -> "dict[str, AttributeValueTypeDef]":
    return {"customerId": {"S": customer_id}, "eventId": {"S": event_id}}


def _of_event(event: Event) -> Entry:
    kept = event.model_dump(include={"customer_id", "account_id", "reason", "errors"})
    return Entry(
        type=type(event).__name__,
        event_id=event.metadata.event_id,
        occurred_at=event.metadata.occurred_at,
        correlation_id=event.metadata.correlation_id,
        **kept,
    )
