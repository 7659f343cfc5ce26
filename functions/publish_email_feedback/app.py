"""Messages of SES's feedback queue: publish bounces and complaints; record which welcome e-mails were sent."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from onboarding.adapters.bus import publish
from onboarding.adapters.mail import feedback
from onboarding.adapters.mail.attempts import Attempts
from onboarding.runtime import aws, batch, environment


class Settings(environment.Settings):
    event_bus: str
    idempotency_table: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
eventbridge, dynamodb = aws.client("events"), aws.client("dynamodb")


@batch.consumer(logger)
def handler(record: SQSRecord) -> None:
    """Record SES's message id, or publish WelcomeEmailFailed, if the feedback means that."""
    match feedback.read(record.body):
        case feedback.Sent() as sent:
            logger.append_keys(customer_id=sent.customer_id, correlation_id=sent.correlation_id)
            attempts = Attempts(sent.customer_id, dynamodb=dynamodb, table_name=settings.idempotency_table)
            attempts.succeed(sent.message_id)
            logger.info("Welcome e-mail reported as sent")
        case feedback.CodeNotReceived() as code:
            logger.append_keys(customer_id=code.customer_id, correlation_id=code.correlation_id)
            logger.info("Code not received", reason=code.reason)
        case None:
            logger.info("Feedback ignored: not on an e-mail of ours, or no failure")
        case failed:
            logger.append_keys(customer_id=failed.customer_id, correlation_id=failed.metadata.correlation_id)
            publish(failed, eventbridge=eventbridge, event_bus=settings.event_bus)
            logger.info("Welcome e-mail failed", reason=failed.reason)
