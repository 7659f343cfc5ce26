"""Task CreateAccount: create the customer's account and claim the e-mail address."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters.accounts import create_account
from onboarding.adapters.confirmations import Confirmation
from onboarding.domain.errors import (
    AccountCancelled,
    AccountErased,
    EmailAlreadyRegistered,
    EmailClaimPending,
    EmailNotConfirmed,
)
from onboarding.domain.tasks import AccountTask
from onboarding.runtime import aws, environment, failures


class Settings(environment.Settings):
    customers_table: str
    idempotency_table: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger, AccountCancelled, AccountErased, EmailAlreadyRegistered, EmailClaimPending, EmailNotConfirmed)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Return `{accountId}`, always the same for a customer."""
    task = AccountTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id)
    if task.email_confirmation == "required" and not is_confirmed(task.customer_id):
        raise EmailNotConfirmed
    account_id = create_account(
        task.customer_id, task.customer_data, dynamodb=dynamodb, table_name=settings.customers_table
    )
    logger.info("Account created", account_id=account_id)
    return {"accountId": account_id}


def is_confirmed(customer_id: str) -> bool:
    """Whether the customer confirmed the e-mail address."""
    return Confirmation(customer_id, dynamodb=dynamodb, table_name=settings.idempotency_table).is_confirmed()
