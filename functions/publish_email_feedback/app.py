"""Messages of SES's feedback queue: publish what bounced, and what was complained of."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding import aws, batch, email_feedback
from onboarding.publication import publish

EVENT_BUS = os.environ["EVENT_BUS"]
logger = Logger(use_rfc3339=True, utc=True)
eventbridge = aws.client("events")
processor = batch.processor(logger)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the messages that failed: SQS delivers them again, and after their last try to the dead-letter queue."""
    return dict(process_partial_response(event, publish_feedback, processor, context))


def publish_feedback(record: SQSRecord) -> None:
    """Publish WelcomeEmailFailed, or acknowledge a report that doesn't call for it."""
    logger.append_keys(message_id=record.message_id, customer_id=None, correlation_id=None)
    failed = email_feedback.read(record.body)
    if failed is None:
        logger.info("Feedback ignored: on no welcome e-mail, or on one that arrived")
        return
    logger.append_keys(customer_id=failed.customer_id, correlation_id=failed.metadata.correlation_id)
    publish(failed, eventbridge=eventbridge, event_bus=EVENT_BUS)
    logger.info("Welcome e-mail failed", reason=failed.reason)
