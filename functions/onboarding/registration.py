"""A registration on its way from the API to the workflow."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from onboarding.models import CustomerData, CustomerId, Message


class Registration(Message):
    """A registration in the queue, which is also the input of its execution."""

    event_type: Literal["CustomerRegistered"] = "CustomerRegistered"
    timestamp: AwareDatetime
    customer_id: CustomerId
    correlation_id: Annotated[str, Field(description="The API's request id")]
    data: CustomerData
