"""Task EraseCustomer: erase the customer, the account, the e-mail address and the records of the e-mails."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import accounts
from onboarding.adapters.confirmations import Confirmation
from onboarding.adapters.mail.attempts import Attempts
from onboarding.domain.tasks import ErasureTask
from onboarding.runtime import aws, environment, failures


class Settings(environment.Settings):
    customers_table: str
    idempotency_table: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger)
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Erase the customer, also if there is no account; return nothing."""
    task = ErasureTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id)
    accounts.erase(task.customer_id, dynamodb=dynamodb, table_name=settings.customers_table)
    for record in (Confirmation, Attempts):
        record(task.customer_id, dynamodb=dynamodb, table_name=settings.idempotency_table).erase()
    logger.info("Customer erased")
