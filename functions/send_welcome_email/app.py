"""Task SendWelcomeEmail: send the e-mail once, or twice if the first outcome is unknown."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import mail
from onboarding.adapters.mail.attempts import Attempts
from onboarding.domain.errors import (
    AccountErased,
    EmailOutcomeUnknown,
    EmailSenderBlocked,
    EmailServiceUnavailable,
    EmailUnconfirmed,
    EmailUndeliverable,
)
from onboarding.domain.tasks import WelcomeEmailTask
from onboarding.runtime import aws, environment, failures


class Settings(environment.MailSettings):
    idempotency_table: str


settings = Settings.read()
SENDER = mail.Sender(settings.sender_email, settings.configuration_set, settings.company_name, settings.account_url)
logger = Logger(use_rfc3339=True, utc=True)
ses, dynamodb = aws.client("sesv2", once=True), aws.client("dynamodb")


@logger.inject_lambda_context(clear_state=True)
@failures.logged(
    logger,
    AccountErased,
    EmailUndeliverable,
    EmailSenderBlocked,
    EmailServiceUnavailable,
    EmailOutcomeUnknown,
    EmailUnconfirmed,
)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Return `{messageId}`; once it is known, the same one, and nothing is sent again."""
    task = WelcomeEmailTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id)
    attempts = Attempts(task.customer_id, dynamodb=dynamodb, table_name=settings.idempotency_table)
    message_id = attempts.begin() or send(task, attempts)
    logger.info("Welcome e-mail sent", message_id=message_id)
    return {"messageId": message_id}


def send(task: WelcomeEmailTask, attempts: Attempts) -> str:
    """Send the e-mail, record the outcome, and return SES's message id."""
    try:
        message_id = mail.send(task, SENDER, ses=ses)
    except EmailOutcomeUnknown:
        attempts.lose()
        raise
    except Exception:
        attempts.withdraw()
        raise
    try:
        attempts.succeed(message_id)
    except aws.FAILURES:
        logger.exception("Welcome e-mail sent, but not recorded")  # to fail now could send it again
    return message_id
