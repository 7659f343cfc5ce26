"""What the workflow hands to the functions of its tasks."""

from onboarding.models import CustomerData, CustomerId, Message


class CustomerTask(Message):
    """Input of the tasks that validate a customer and create the account."""

    customer_id: CustomerId
    correlation_id: str
    customer_data: CustomerData


class WelcomeEmailTask(Message):
    """Input of the task that sends the welcome e-mail."""

    customer_id: CustomerId
    correlation_id: str
    account_id: str
    first_name: str
    email: str
