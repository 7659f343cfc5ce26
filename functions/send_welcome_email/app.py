"""Task SendWelcomeEmail: send the e-mail, and record that it was sent."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import mail
from onboarding.domain.errors import EmailSenderBlocked, EmailServiceUnavailable, EmailUndeliverable
from onboarding.domain.tasks import WelcomeEmailTask
from onboarding.runtime import aws, environment, failures


class Settings(environment.Settings):
    sender_email: str
    configuration_set: str
    company_name: str
    account_url: str
    idempotency_table: str


settings = Settings.read()
SENDER = mail.Sender(
    address=settings.sender_email,
    configuration_set=settings.configuration_set,
    company_name=settings.company_name,
    account_url=settings.account_url,
)
logger = Logger(use_rfc3339=True, utc=True)
ses = aws.client("sesv2", once=True)
records = DynamoDBPersistenceLayer(table_name=settings.idempotency_table, boto3_client=aws.client("dynamodb"))
# Longer than an execution can run (three days) and then be redriven (14 days).
once_per_customer = IdempotencyConfig(
    event_key_jmespath="customer_id", expires_after_seconds=30 * 24 * 60 * 60, hash_function="sha256"
)


@logger.inject_lambda_context(clear_state=True)
@failures.logged(
    logger, EmailUndeliverable, EmailSenderBlocked, EmailServiceUnavailable, IdempotencyAlreadyInProgressError
)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return `{messageId}`; once it is recorded, the same one, and nothing is sent again."""
    once_per_customer.register_lambda_context(context)
    task = WelcomeEmailTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id)
    sent: list[str] = []
    try:
        message_id: str = send_once(task=task, sent=sent)
    except IdempotencyPersistenceLayerError:
        if not sent:
            raise
        logger.exception("Welcome e-mail sent, but not recorded")  # to fail now would send it again
        message_id = sent[0]
    logger.info("Welcome e-mail sent", message_id=message_id)
    return {"messageId": message_id}


def send(task: WelcomeEmailTask, sent: list[str]) -> str:
    """Send the e-mail; add SES's message id to `sent`, and return it."""
    sent.append(mail.send(task, SENDER, ses=ses))
    return sent[0]


send_once = idempotent_function(
    send,
    data_keyword_argument="task",
    config=once_per_customer,
    persistence_store=records,
    key_prefix="send_welcome_email",
)
