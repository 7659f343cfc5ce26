"""The bus: functions publish events here, and read those that a rule delivers. The workflow publishes its own."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, Field

from onboarding.domain.events import EVENTS, SOURCE, Event
from onboarding.domain.models import Message

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class EventNotPublished(Exception):
    """EventBridge did not accept the event. The message is its error code."""


def publish(event: Event, *, eventbridge: "EventBridgeClient", event_bus: str) -> None:
    """Put an event on the bus. Publishing it again keeps its eventId, so that consumers can deduplicate.

    Raises:
        EventNotPublished: EventBridge refused the entry, in an answer with status 200.
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


class Envelope(Message):
    """What EventBridge delivers; fields that aren't used are left out.

    https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
    """

    source: str
    detail_type: Annotated[str, Field(alias="detail-type")]
    time: AwareDatetime
    detail: dict[str, Any]

    @property
    def event(self) -> Event | None:
        """The event; None if the contract has no such detail-type.

        Unknown fields are ignored: a later minor version may have more. Raises `pydantic.ValidationError` if the
        detail breaks the contract.
        """
        event = EVENTS.get(self.detail_type)
        return event.model_validate(self.detail) if event else None


def read(body: str) -> Event | None:
    """Return the event in an envelope, as `Envelope.event` does; raises `pydantic.ValidationError` if it is none."""
    return Envelope.model_validate_json(body).event
