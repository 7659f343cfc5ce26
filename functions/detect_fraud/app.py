"""Messages of the fraud detection queue: publish suspicions."""

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from onboarding.adapters import bus, fraud
from onboarding.domain.events import CustomerErased, CustomerValidated
from onboarding.domain.fraud import examine
from onboarding.runtime import aws, batch, environment


class Settings(environment.Settings):
    fraud_table: str
    event_bus: str
    fraud_threshold: int


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")
eventbridge = aws.client("events")


@batch.consumer(logger)
def handler(record: SQSRecord) -> None:
    """Examine one validated customer, and later ones again that it makes suspicious; forget an erased customer."""
    event = bus.read(record.body)
    if event:
        logger.append_keys(customer_id=event.customer_id, correlation_id=event.metadata.correlation_id)
    if isinstance(event, CustomerErased):
        fraud.erase(event.customer_id, dynamodb=dynamodb, table_name=settings.fraud_table)
        logger.info("Findings erased")
        return
    if (
        not isinstance(event, CustomerValidated)
        or event.customer_data.is_simulated
        or fraud.has_expired(event.metadata.occurred_at)
    ):
        logger.info("Event ignored")
        return
    findings = fraud.record(examine(event), dynamodb=dynamodb, table_name=settings.fraud_table)
    if findings is None:
        logger.info("Customer was erased")
        return
    for suspicion in fraud.suspicions(
        findings, settings.fraud_threshold, dynamodb=dynamodb, table_name=settings.fraud_table
    ):
        bus.publish(suspicion, eventbridge=eventbridge, event_bus=settings.event_bus)
        logger.info(
            "Customer suspected",
            suspected=suspicion.customer_id,
            score=suspicion.score,
            rules=[reason.rule for reason in suspicion.reasons],
        )
    logger.info("Customer examined")
