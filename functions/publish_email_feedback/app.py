"""Messages of SES's feedback queue: publish bounces and complaints."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from onboarding.adapters.bus import publish
from onboarding.adapters.mail import feedback
from onboarding.runtime import aws, batch, environment


class Settings(environment.Settings):
    event_bus: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
eventbridge = aws.client("events")


@batch.consumer(logger)
def handler(record: SQSRecord) -> None:
    """Publish WelcomeEmailFailed, if the feedback means that."""
    failed = feedback.read(record.body)
    if failed is None:
        logger.info("Feedback ignored: not on a welcome e-mail, or it arrived")
        return
    logger.append_keys(customer_id=failed.customer_id, correlation_id=failed.metadata.correlation_id)
    publish(failed, eventbridge=eventbridge, event_bus=settings.event_bus)
    logger.info("Welcome e-mail failed", reason=failed.reason)
