"""The events on the bus: the contract with every consumer.

An event's detail-type is the name of its class; its `detail` is the model as JSON. The state machine writes the
workflow's events itself, and tests compare them with these models. Consumers that publish events build them here.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AwareDatetime, Field

from onboarding.domain.customer import CustomerData
from onboarding.domain.errors import FieldError
from onboarding.domain.models import PERSONAL, CustomerId, Message

SOURCE = "custom.customerService"


class Metadata(Message):
    """What every event says about itself. An event that is published again has the same eventId."""

    event_id: Annotated[str, Field(description="{customerId}:{detail-type}; a suspicion's names its rules too")]
    schema_version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")]
    correlation_id: Annotated[str, Field(description="The API's request id; CustomerErased may have another")]
    occurred_at: AwareDatetime


class Event(Message):
    """Base of all event details; `VERSION` is the version of the published schema."""

    VERSION: ClassVar[str] = "1.0"

    customer_id: CustomerId
    metadata: Metadata

    @classmethod
    def of(
        cls, customer_id: str, *, correlation_id: str, occurred_at: datetime, variant: str = "", **fields: object
    ) -> Self:
        """Build the event with its metadata; raises `pydantic.ValidationError` if a field has the wrong type.

        The `variant` tells events of one customer and type apart.
        """
        metadata = Metadata(
            event_id=":".join(filter(None, (customer_id, cls.__name__, variant))),
            schema_version=cls.VERSION,
            correlation_id=correlation_id,
            occurred_at=occurred_at,
        )
        return cls.model_validate({"customer_id": customer_id, "metadata": metadata, **fields})


class CustomerRegistered(Event):
    """A registration was accepted; its data is as typed, trimmed, with the browser's language if none was given."""

    VERSION = CustomerData.VERSION

    registered_at: Annotated[AwareDatetime, Field(description="When the API accepted the registration")]
    customer_data: CustomerData


class CustomerValidated(Event):
    """A registration passed every rule; its data is normalised."""

    VERSION = CustomerData.VERSION

    status: Literal["VALID"]
    customer_data: CustomerData


class CustomerValidationFailed(Event):
    """A registration broke a rule, and the customer was rejected; its data is as in CustomerRegistered."""

    VERSION = CustomerData.VERSION

    status: Literal["INVALID"]
    errors: Annotated[list[FieldError], Field(min_length=1)]
    customer_data: CustomerData


class CustomerEmailConfirmed(Event):
    """The customer confirmed the e-mail address, by the code that was mailed to it."""

    requested_at: Annotated[AwareDatetime, Field(description="When the workflow began to wait for it")]

    @property
    def seconds_waited(self) -> float:
        """How long the workflow waited for the customer."""
        return (self.metadata.occurred_at - self.requested_at).total_seconds()


class CustomerRegistrationExpired(Event):
    """Nobody confirmed the e-mail address in time: there is no account, and the address can be registered again."""


class CustomerAccountCreated(Event):
    """The customer has an account."""

    VERSION = "1.1"

    account_id: str
    email: Annotated[str, Field(json_schema_extra={PERSONAL: True})]
    name: Annotated[
        str,
        Field(
            description="firstName, a space and lastName, or the one name of a person who has no other. Many people "
            "write their names in another order: to address a customer, use the other fields",
            json_schema_extra={PERSONAL: True},
        ),
    ]
    first_name: Annotated[str | None, Field(json_schema_extra={PERSONAL: True})] = None
    last_name: Annotated[
        str | None,
        Field(description="The same as firstName if the person has one name", json_schema_extra={PERSONAL: True}),
    ] = None


class FailedSystem(Message):
    """A downstream system that refused the account, or was unavailable until the retries were used up."""

    system: str
    status: Literal["REFUSED", "UNAVAILABLE"]


class CustomerAccountCreationFailed(Event):
    """No account was created: the e-mail address is taken, or a downstream system failed.

    DOWNSTREAM_FAILED lists the systems that failed. The accounts in the other systems are deleted again.
    """

    reason: Literal["EMAIL_TAKEN", "DOWNSTREAM_FAILED"]
    systems: Annotated[list[FailedSystem], Field(min_length=1)] | None = None


class WelcomeEmailSent(Event):
    """SES accepted the welcome e-mail."""

    account_id: str
    message_id: str


class WelcomeEmailUnconfirmed(Event):
    """The outcome of each attempt to send the welcome e-mail is unknown; the customer is onboarded.

    WelcomeEmailFailed may follow, if the e-mail was sent after all.
    """

    account_id: str
    reason: Literal["UNKNOWN"]


class WelcomeEmailFailed(Event):
    """The welcome e-mail can't be delivered, bounced, or its recipient complained; the customer is onboarded.

    A bounce and a complaint come after WelcomeEmailSent or WelcomeEmailUnconfirmed, hours or days later.
    """

    account_id: str
    reason: Literal["UNDELIVERABLE", "BOUNCED", "COMPLAINED"]


class FraudReason(Message):
    """A rule of fraud detection that applied: its name, its weight in the score, and a sentence for people."""

    rule: str
    weight: int
    message: str


class CustomerFraudSuspected(Event):
    """A customer's score reached the threshold. It decides nothing: a person or another consumer follows up.

    A late event can add a reason: then it is published again under another eventId, and the higher score holds.
    """

    score: int
    reasons: Annotated[list[FraudReason], Field(min_length=1)]


class CustomerErased(Event):
    """The customer's data and accounts were erased: erase yours, and keep nothing of this customer that comes later.

    Earlier events of the customer may still arrive, late or replayed.
    """


EVENTS = {event.__name__: event for event in Event.__subclasses__()}
