"""The events that the workflow publishes: the contract with every consumer.

An event's detail-type is the name of its class, its `detail` the model as JSON. The state machine writes them, so no
code here sends one; the tests hold what it publishes against these models.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from onboarding.errors import FieldError
from onboarding.models import CustomerData, CustomerId, Message

SOURCE = "custom.customerService"


class Metadata(Message):
    """What every event says of itself. The eventId is the same each time an event is published again."""

    event_id: Annotated[str, Field(description="{customerId}:{detail-type}")]
    schema_version: Literal["1.0"]
    correlation_id: str
    occurred_at: AwareDatetime


class Event(Message):
    """Base of the details of all events."""

    customer_id: CustomerId
    metadata: Metadata


class CustomerRegistered(Event):
    """A registration was accepted; its data is as typed."""

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
    email: str
    name: str


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
    """The welcome e-mail can't be delivered; the customer is onboarded without it."""

    account_id: str
    reason: Literal["UNDELIVERABLE"]
