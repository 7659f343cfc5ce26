"""A registration on its way from the API to the workflow."""

from typing import Annotated, Literal
from uuid import UUID, uuid4, uuid5

from pydantic import AwareDatetime, Field

from onboarding.domain.customer import CustomerData
from onboarding.domain.models import CustomerId, Message

_IDEMPOTENCY_NAMESPACE = UUID("6f3d7b0e-5f0a-4d0c-9a43-7c0b6d0f5a11")


class RegistrationRequest(Message):
    """A request: the customer from the body, the Idempotency-Key and the preferred language from headers.

    A retry may come with another language: the customer and the key are what a repeat is recognised by.
    """

    customer: CustomerData
    idempotency_key: str | None
    language: str | None = None

    @property
    def data(self) -> CustomerData:
        """The customer, with the language of the header if the body has none."""
        return self.customer.model_copy(update={"locale": self.customer.locale or self.language})


class Registration(Message):
    """A registration in the queue, and the input of its execution."""

    event_type: Literal["CustomerRegistered"] = "CustomerRegistered"
    timestamp: AwareDatetime
    customer_id: CustomerId
    correlation_id: Annotated[str, Field(description="The API's request id")]
    data: CustomerData
    api_url: Annotated[str | None, Field(description="What the registration was posted to; None: unknown")] = None


class Accepted(Message):
    """The answer to a registration: 202 Accepted. The trackingId is the queue's message id."""

    message: str = "Registration accepted"
    customer_id: str
    tracking_id: str


def customer_id_for(customer: CustomerData, idempotency_key: str | None) -> str:
    """Return a new customerId; with an Idempotency-Key, always the same one for the same key and customer.

    So a repeated request makes no second customer even if the record of the first is lost, and a key that is reused
    for another customer long after its record expired affects neither.
    """
    if idempotency_key is None:
        return str(uuid4())
    document = customer.model_dump_json(by_alias=True, exclude_none=True)
    return str(uuid5(_IDEMPOTENCY_NAMESPACE, f"{idempotency_key}\n{document}"))


def customer_id_again(customer: CustomerData, ended_id: str) -> str:
    """Return the customerId of an ended registration that is made again, the same on each call.

    A line break is in its key, so no client of the API can have sent that.
    """
    return customer_id_for(customer, f"again\n{ended_id}")
