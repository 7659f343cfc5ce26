"""Messages of the fraud detection queue: publish who is suspected."""

import os

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from onboarding.adapters import bus, fraud
from onboarding.domain.events import CustomerValidated
from onboarding.domain.fraud import examine
from onboarding.runtime import aws, batch

TABLE_NAME = os.environ["FRAUD_TABLE"]
EVENT_BUS = os.environ["EVENT_BUS"]
THRESHOLD = int(os.environ["FRAUD_THRESHOLD"])
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")
eventbridge = aws.client("events")


@batch.consumer(logger)
def handler(record: SQSRecord) -> None:
    """Look at one validated customer, and again at later ones that it makes suspicious."""
    event = bus.read(record.body)
    if event:
        logger.append_keys(customer_id=event.customer_id, correlation_id=event.metadata.correlation_id)
    if not isinstance(event, CustomerValidated):
        logger.info("Event ignored")
        return
    findings = fraud.record(examine(event), dynamodb=dynamodb, table_name=TABLE_NAME)
    for suspicion in fraud.suspicions(findings, THRESHOLD, dynamodb=dynamodb, table_name=TABLE_NAME):
        bus.publish(suspicion, eventbridge=eventbridge, event_bus=EVENT_BUS)
        logger.info(
            "Customer suspected",
            suspected=suspicion.customer_id,
            score=suspicion.score,
            rules=[reason.rule for reason in suspicion.reasons],
        )
    logger.info("Customer examined")
