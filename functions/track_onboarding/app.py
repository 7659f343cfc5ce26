"""Messages of the tracking queue: keep each event in its customer's timeline."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from onboarding.adapters import timelines
from onboarding.domain.events import CustomerErased
from onboarding.runtime import aws, batch, environment


class Settings(environment.Settings):
    timelines_table: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")


@batch.consumer(logger)
def handler(record: SQSRecord) -> None:
    """Keep one event, unless it is kept already or isn't tracked; erase the timeline of an erased customer."""
    entry = timelines.read(record.body)
    if entry is None:
        logger.info("Event ignored")
        return
    if isinstance(entry, CustomerErased):
        logger.append_keys(customer_id=entry.customer_id, correlation_id=entry.metadata.correlation_id)
        timelines.erase(entry.customer_id, dynamodb=dynamodb, table_name=settings.timelines_table)
        logger.info("Timeline erased")
        return
    logger.append_keys(customer_id=entry.customer_id, correlation_id=entry.correlation_id)
    kept = timelines.keep(entry, dynamodb=dynamodb, table_name=settings.timelines_table)
    logger.info("Event tracked" if kept else "Event already tracked", type=entry.type)
