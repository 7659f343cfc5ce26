"""Messages of the analytics queue: count what each event says of its customer, once."""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding import aws, batch, events, failures
from onboarding.analytics import facts
from onboarding.analytics.facts import Facts

TABLE_NAME = os.environ["ANALYTICS_TABLE"]
logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()
dynamodb = aws.client("dynamodb")


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the messages that failed."""
    response = batch.process(event, count, context, logger, facts.Conflict)
    metrics.add_metric("EventNotCounted", MetricUnit.Count, len(response["batchItemFailures"]))
    return response


def count(record: SQSRecord) -> None:
    """Count one event, or acknowledge that it is counted, or is none that is known here."""
    event = events.read(record.body)
    if event is None:
        logger.info("Event ignored")
        return
    logger.append_keys(customer_id=event.customer_id, correlation_id=event.metadata.correlation_id)
    before, after = facts.record(event, dynamodb=dynamodb, table_name=TABLE_NAME)
    measure(before, after)
    logger.info("Event counted" if before != after else "Event was counted before", type=type(event).__name__)


def measure(before: Facts, after: Facts) -> None:
    """Emit a metric for what is known now, and wasn't before."""
    if after.registered_at and not before.registered_at:
        metrics.add_metric("CustomerRegistered", MetricUnit.Count, 1)
    if after.onboarded_at and not before.onboarded_at:
        metrics.add_metric("CustomerOnboarded", MetricUnit.Count, 1)
    if after.suspected and not before.suspected:
        metrics.add_metric("CustomerSuspected", MetricUnit.Count, 1)
    if after.seconds_to_onboard is not None and before.seconds_to_onboard is None:
        metrics.add_metric("TimeToOnboard", MetricUnit.Seconds, after.seconds_to_onboard)
    for code in set(after.rejections) - set(before.rejections):
        _add_by_reason("CustomerRejected", code)
    if after.failure and not before.failure:
        _add_by_reason("AccountFailed", after.failure)
    if after.email_failure and not before.email_failure:
        _add_by_reason("WelcomeEmailFailed", after.email_failure)


def _add_by_reason(name: str, reason: str) -> None:
    with single_metric(name, MetricUnit.Count, 1, namespace=metrics.namespace) as metric:
        metric.add_dimension("reason", reason)
