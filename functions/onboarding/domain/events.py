"""The events on the bus: the contract with every consumer.

An event's detail-type is the name of its class, its `detail` the model as JSON. The state machine writes those of the
workflow itself, and the tests hold what it publishes against these models; the consumers here that publish build them.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AwareDatetime, Field

from onboarding.domain.errors import FieldError
from onboarding.domain.models import PERSONAL, CustomerData, CustomerId, Message

SOURCE = "custom.customerService"


class Metadata(Message):
    """What every event says of itself. The eventId is the same each time an event is published again."""

    event_id: Annotated[str, Field(description="{customerId}:{detail-type}")]
    schema_version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
    correlation_id: str
    occurred_at: AwareDatetime


class Event(Message):
    """Base of the details of all events; `VERSION` is that of its published schema."""

    VERSION: ClassVar[str] = "1.0"

    customer_id: CustomerId
    metadata: Metadata

    @classmethod
    def of(cls, customer_id: str, *, correlation_id: str, occurred_at: datetime, **fields: object) -> Self:
        """Build the event with its metadata; raises `pydantic.ValidationError` where a field is not of its type."""
        metadata = Metadata(
            event_id=f"{customer_id}:{cls.__name__}",
            schema_version=cls.VERSION,
            correlation_id=correlation_id,
            occurred_at=occurred_at,
        )
        return cls.model_validate({"customer_id": customer_id, "metadata": metadata, **fields})


class CustomerRegistered(Event):
    """A registration was accepted; its data is as typed."""

    registered_at: Annotated[AwareDatetime, Field(description="When the API accepted the registration")]
    customer_data: CustomerData


class CustomerValidated(Event):
    """A registration passed every rule; its data is normalised."""

    status: Literal["VALID"]
    customer_data: CustomerData


class CustomerValidationFailed(Event):
    """A registration broke a rule, and the customer was rejected; its data is as typed."""

    status: Literal["INVALID"]
    errors: Annotated[list[FieldError], Field(min_length=1)]
    customer_data: CustomerData


class CustomerAccountCreated(Event):
    """The customer has an account."""

    account_id: str
    email: Annotated[str, Field(json_schema_extra={PERSONAL: True})]
    name: Annotated[str, Field(json_schema_extra={PERSONAL: True})]


class FailedSystem(Message):
    """A downstream system that refused the account, or stayed away until the retries were used up."""

    system: str
    status: Literal["REFUSED", "UNAVAILABLE"]


class CustomerAccountCreationFailed(Event):
    """There is no account: the e-mail address is another customer's, or a downstream system failed.

    With DOWNSTREAM_FAILED come the systems that failed. What had been created in the others is deleted again.
    """

    reason: Literal["EMAIL_TAKEN", "DOWNSTREAM_FAILED"]
    systems: Annotated[list[FailedSystem], Field(min_length=1)] | None = None


class WelcomeEmailSent(Event):
    """SES took the welcome e-mail."""

    account_id: str
    message_id: str


class WelcomeEmailFailed(Event):
    """The welcome e-mail can't be delivered, bounced, or its recipient complained; the customer is onboarded.

    A bounce and a complaint come after WelcomeEmailSent, hours or days later.
    """

    account_id: str
    reason: Literal["UNDELIVERABLE", "BOUNCED", "COMPLAINED"]


class FraudReason(Message):
    """A rule of fraud detection that applied: its name, what it adds to the score, and a sentence for people."""

    rule: str
    weight: int
    message: str


class CustomerFraudSuspected(Event):
    """A customer's score is at or over the threshold. Nothing is decided by it: someone, or another consumer, looks."""

    score: int
    reasons: Annotated[list[FraudReason], Field(min_length=1)]


EVENTS = {event.__name__: event for event in Event.__subclasses__()}
