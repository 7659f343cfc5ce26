"""Task CancelAccount: cancel the customer's account and free the e-mail address."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters.accounts import cancel_account
from onboarding.domain.tasks import CustomerTask
from onboarding.runtime import aws, environment, failures


class Settings(environment.Settings):
    customers_table: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger)
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Cancel the account; return nothing."""
    task = CustomerTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id)
    cancel_account(task.customer_id, task.customer_data, dynamodb=dynamodb, table_name=settings.customers_table)
    logger.info("Account cancelled")
