"""Messages of the registration queue: start an execution for each."""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import ValidationError

from onboarding.adapters.workflow import start_execution
from onboarding.domain.registration import Registration
from onboarding.runtime import aws, batch, environment


class Settings(environment.Settings):
    state_machine_arn: str
    dead_letter_queue_url: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()
sfn = aws.client("stepfunctions")
sqs = aws.client("sqs")


@metrics.log_metrics
@batch.consumer(
    logger, count_failed=lambda number: metrics.add_metric("OnboardingNotStarted", MetricUnit.Count, number)
)
def handler(record: SQSRecord) -> None:
    """Start one execution, unless an earlier delivery of the message did.

    A message that is no registration goes to the dead-letter queue at once: a queue that is patient with throttling
    would deliver it for hours.
    """
    try:
        registration = Registration.model_validate_json(record.body)
    except ValidationError:
        sqs.send_message(QueueUrl=settings.dead_letter_queue_url, MessageBody=record.body)
        logger.exception("Message is no registration")
        metrics.add_metric("OnboardingNotStarted", MetricUnit.Count, 1)
        return
    logger.append_keys(customer_id=registration.customer_id, correlation_id=registration.correlation_id)
    started = start_execution(
        registration,
        trace_header=record.attributes.aws_trace_header,
        sfn=sfn,
        state_machine_arn=settings.state_machine_arn,
    )
    logger.info("Onboarding started" if started else "Onboarding already started")
    metrics.add_metric("OnboardingStarted", MetricUnit.Count, int(started))
