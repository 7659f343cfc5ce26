"""The timelines table: of each customer's onboarding each event that was heard, once, and of it nothing personal."""

from datetime import UTC
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime

from onboarding.adapters.bus import Envelope
from onboarding.domain.events import Event
from onboarding.domain.meanings import TRACKED
from onboarding.domain.models import CustomerId, Message
from onboarding.domain.status import CHANGES, Entry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ExecutionChange(Message):
    """What the rules in the template hand on of Step Functions' event; its input and output are personal.

    `changedAt` is when the execution stopped or was redriven, in milliseconds since 1970.
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """

    name: CustomerId
    status: Literal["FAILED", "TIMED_OUT", "ABORTED", "RUNNING"]
    changed_at: AwareDatetime


def read(body: str) -> Entry | None:
    """Return what is kept of the event in an EventBridge envelope; None where that is nothing.

    Raises:
        pydantic.ValidationError: it is no envelope, or its detail is not what its type says.
    """
    envelope = Envelope.model_validate_json(body)
    if envelope.source == "aws.states":
        return _of_execution(ExecutionChange.model_validate(envelope.detail), envelope.id)
    event = envelope.event
    return _of_event(event) if isinstance(event, TRACKED) else None


def keep(entry: Entry, *, dynamodb: "DynamoDBClient", table_name: str) -> bool:
    """Keep an entry, once. Of two with the same eventId the earlier one stays, whichever comes first.

    Returns whether it changed anything.
    """
    # Of one length, so that the order of the texts is that of the times.
    occurred_at = entry.occurred_at.astimezone(UTC).isoformat(timespec="microseconds")
    try:
        dynamodb.put_item(
            TableName=table_name,
            Item={
                "customerId": {"S": entry.customer_id},
                "eventId": {"S": entry.event_id},
                "occurredAt": {"S": occurred_at},
                "entry": {"S": entry.model_dump_json(by_alias=True, exclude_none=True)},
            },
            ConditionExpression="attribute_not_exists(eventId) OR occurredAt > :occurredAt",
            ExpressionAttributeValues={":occurredAt": {"S": occurred_at}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def entries_of(customer_id: str, *, dynamodb: "DynamoDBClient", table_name: str) -> list[Entry]:
    """Return what is kept of a customer, in no order.

    Raises:
        botocore.exceptions.ClientError, ConnectionError, HTTPClientError: DynamoDB refused, or is out of reach.
    """
    page = dynamodb.query(  # far below the 1 MB of one page
        TableName=table_name,
        KeyConditionExpression="customerId = :customerId",
        ExpressionAttributeValues={":customerId": {"S": customer_id}},
        ConsistentRead=True,
    )
    return [Entry.model_validate_json(item["entry"]["S"]) for item in page["Items"]]


def erase(customer_id: str, *, dynamodb: "DynamoDBClient", table_name: str) -> int:
    """Erase what is kept of a customer; return how many entries there were."""
    entries = entries_of(customer_id, dynamodb=dynamodb, table_name=table_name)
    for entry in entries:
        key = {"customerId": {"S": customer_id}, "eventId": {"S": entry.event_id}}
        dynamodb.delete_item(TableName=table_name, Key=key)
    return len(entries)


def _of_event(event: Event) -> Entry:
    kept = event.model_dump(include={"customer_id", "account_id", "reason", "errors"})
    return Entry(
        type=type(event).__name__,
        event_id=event.metadata.event_id,
        occurred_at=event.metadata.occurred_at,
        correlation_id=event.metadata.correlation_id,
        **kept,
    )


def _of_execution(change: ExecutionChange, event_id: str) -> Entry:
    return Entry(type=CHANGES[change.status], event_id=event_id, customer_id=change.name, occurred_at=change.changed_at)
