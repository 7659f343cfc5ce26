"""The inputs of the workflow's tasks."""

from typing import Annotated, Any

from pydantic import StringConstraints

from onboarding.domain.customer import SENT_DOWNSTREAM, CustomerData, Locale
from onboarding.domain.models import CustomerId, Message

# Part of the names of parameters and secrets.
SystemName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$")]


class CustomerTask(Message):
    """Input of the tasks that validate a customer and create the account."""

    customer_id: CustomerId
    correlation_id: str
    customer_data: CustomerData


class ErasureTask(Message):
    """Input of the task that erases a customer."""

    customer_id: CustomerId
    correlation_id: str


class WelcomeEmailTask(Message):
    """Input of the task that sends the welcome e-mail."""

    customer_id: CustomerId
    correlation_id: str
    account_id: str
    first_name: str
    email: str
    locale: Locale | None = None


class Account(CustomerData):
    """An account as it is sent to downstream systems."""

    account_id: str

    def as_sent(self) -> dict[str, Any]:
        """The JSON that the systems get."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True, include={"account_id", *SENT_DOWNSTREAM})


class SystemTask(Message):
    """Input of the tasks that concern one customer in one system."""

    customer_id: CustomerId
    correlation_id: str
    system: SystemName


class ProvisionTask(SystemTask):
    """Input of the task that provisions an account."""

    account: Account
