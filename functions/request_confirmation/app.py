"""Tasks RequestConfirmation and RemindCustomer: mail the customer a code, and have the workflow wait for it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import mail, workflow
from onboarding.adapters.confirmations import Confirmation
from onboarding.adapters.mail.confirmation import send_code
from onboarding.domain.errors import AccountErased, EmailOutcomeUnknown, EmailSenderBlocked, EmailServiceUnavailable
from onboarding.domain.tasks import ConfirmationTask
from onboarding.runtime import aws, environment, failures


class Settings(environment.MailSettings):
    idempotency_table: str


settings = Settings.read()
SENDER = mail.Sender(settings.sender_email, settings.configuration_set, settings.company_name, settings.account_url)
logger = Logger(use_rfc3339=True, utc=True)
ses, dynamodb, sfn = aws.client("sesv2", once=True), aws.client("dynamodb"), aws.client("stepfunctions")


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger, AccountErased, EmailSenderBlocked, EmailServiceUnavailable, EmailOutcomeUnknown)
def handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Mail a code; if the address is confirmed already, let the workflow go on at once. Return nothing."""
    task = ConfirmationTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id)
    confirmation = Confirmation(task.customer_id, dynamodb=dynamodb, table_name=settings.idempotency_table)
    pending = confirmation.begin(task)
    if pending is None:
        workflow.complete_task(task.task_token, sfn=sfn)
        logger.info("E-mail address confirmed already")
        return
    logger.info("Confirmation requested", email=send_code(confirmation, pending, SENDER, ses=ses))
