"""The inputs of the workflow's tasks."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, PositiveInt, StringConstraints

from onboarding.domain.customer import SENT_DOWNSTREAM, CustomerData, Locale
from onboarding.domain.models import CustomerId, Message

# Part of the names of parameters and secrets.
SystemName = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,40}$")]


class CustomerTask(Message):
    """Input of the tasks that validate a customer and cancel the account."""

    customer_id: CustomerId
    correlation_id: str
    customer_data: CustomerData


class AccountTask(CustomerTask):
    """Input of the task that creates the account. An execution of release 1.0 or 1.1 asks for no confirmation."""

    email_confirmation: Literal["none", "required"] = "none"


class ErasureTask(Message):
    """Input of the task that erases a customer."""

    customer_id: CustomerId
    correlation_id: str


class Recipient(Message):
    """A customer who gets an e-mail."""

    customer_id: CustomerId
    correlation_id: str
    first_name: str
    email: str
    locale: Locale | None = None


class WelcomeEmailTask(Recipient):
    """Input of the task that sends the welcome e-mail."""

    account_id: str


class ConfirmationTask(Recipient):
    """Input of the tasks that ask a customer to confirm the e-mail address, and wait.

    `page` is where the customer confirms, empty if that is unknown. `expires_in_seconds` counts from now.
    """

    page: str
    task_token: str
    expires_in_seconds: PositiveInt


class ConfirmationEmail(Recipient):
    """The e-mail with the code by which a customer confirms the address."""

    code: str
    page: str
    expires_at: AwareDatetime


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
