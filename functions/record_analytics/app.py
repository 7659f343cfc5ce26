"""Messages of the analytics queue: count each event once."""

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from onboarding.adapters import analytics, bus
from onboarding.domain.analytics import Measure, measures
from onboarding.runtime import aws, batch, environment


class Settings(environment.Settings):
    analytics_table: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()
dynamodb = aws.client("dynamodb")


@metrics.log_metrics
@batch.consumer(
    logger,
    analytics.Conflict,
    count_failed=lambda number: metrics.add_metric("EventNotCounted", MetricUnit.Count, number),
)
def handler(record: SQSRecord) -> None:
    """Count one event, unless it is counted already or unknown."""
    event = bus.read(record.body)
    if event is None:
        logger.info("Event ignored")
        return
    logger.append_keys(customer_id=event.customer_id, correlation_id=event.metadata.correlation_id)
    before, after = analytics.record(event, dynamodb=dynamodb, table_name=settings.analytics_table)
    for measure in measures(before, after):
        emit(measure)
    logger.info("Event counted" if before != after else "Event already counted", type=type(event).__name__)


def emit(measure: Measure) -> None:
    """Emit a metric; one with a reason goes out separately, because the reason is a dimension."""
    if measure.reason is None:
        metrics.add_metric(measure.name, measure.unit, measure.value)
        return
    with single_metric(measure.name, MetricUnit(measure.unit), measure.value, namespace=metrics.namespace) as metric:
        metric.add_dimension("reason", measure.reason)
