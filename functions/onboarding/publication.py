"""Publishing an event from a function; the workflow publishes its own by Step Functions' putEvents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onboarding.events import SOURCE

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

    from onboarding.events import Event


class EventNotPublished(Exception):
    """EventBridge did not take the event. The message is its error code."""


def publish(event: Event, *, eventbridge: EventBridgeClient, event_bus: str) -> None:
    """Put an event on the bus. Published again it has the same eventId, by which consumers know it.

    Raises:
        EventNotPublished: EventBridge refused the entry, which it tells with status 200.
        botocore.exceptions.ClientError: EventBridge refused the request.
    """
    answer = eventbridge.put_events(
        Entries=[
            {
                "EventBusName": event_bus,
                "Source": SOURCE,
                "DetailType": type(event).__name__,
                "Detail": event.model_dump_json(by_alias=True, exclude_none=True),
            }
        ]
    )
    if answer["FailedEntryCount"]:
        raise EventNotPublished(answer["Entries"][0].get("ErrorCode", "unknown"))
