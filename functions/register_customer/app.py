"""POST /api/customers: accept a registration and queue it."""

from functools import partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import accounts, registrations
from onboarding.adapters.workflow import Outcomes
from onboarding.domain.registration import customer_id_for
from onboarding.runtime import api, aws, environment


class Settings(environment.Settings):
    registration_queue_url: str
    idempotency_table: str
    customers_table: str
    state_machine_arn: str
    allowed_origin: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()
sqs = aws.client("sqs")
dynamodb = aws.client("dynamodb")
records = DynamoDBPersistenceLayer(table_name=settings.idempotency_table, boto3_client=dynamodb)
outcomes = Outcomes(partial(aws.client, "stepfunctions", best_effort=True), settings.state_machine_arn)

_FAILED = "The registration with this Idempotency-Key failed. Register again with a new key."
_REJECTED = "The registration with this Idempotency-Key was rejected. Correct it, and register again with a new key."
_EXPIRED = "The registration with this Idempotency-Key was not confirmed in time. Register again with a new key."
_STOPPED = "The registration with this Idempotency-Key failed, and may still be resumed. Check its status first."
# By the account's status, or by how the execution ended.
ENDED = {
    **dict.fromkeys(["CANCELLED", "ERASED"], _FAILED),
    **dict.fromkeys(["FAILED", "TIMED_OUT", "ABORTED"], _STOPPED),
    "REJECTED": _REJECTED,
    "EXPIRED": _EXPIRED,
}


@metrics.log_metrics
@api.endpoint(
    logger,
    allow_origin=settings.allowed_origin,
    refused="Registration refused",
    failed="Registration not accepted",
    unavailable="The registration may or may not have been accepted. Retry with the same Idempotency-Key.",
    outages=(*aws.FAILURES, IdempotencyPersistenceLayerError),
    refusals={
        IdempotencyValidationError: api.RequestRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key was used with another registration."
        ),
        IdempotencyAlreadyInProgressError: api.RequestRefused(
            HTTPStatus.CONFLICT, "The first request with this Idempotency-Key is in progress.", retry_after=1
        ),
    },
    count_refusal=lambda: metrics.add_metric("RegistrationRefused", MetricUnit.Count, 1),
)
def handler(event: dict[str, Any], context: LambdaContext) -> api.Response:
    """Answer 202, or a problem: 400, 409, 413, 415, 422, or 503 if AWS is unavailable."""
    request = api.parse_request(event)
    customer_id = customer_id_for(request.customer, request.idempotency_key)
    logger.append_keys(customer_id=customer_id)

    def refuse_ended(outcome: str | None) -> None:
        if outcome in ENDED:
            location = api.status_url(customer_id, posted_to=event["path"])
            raise api.RequestRefused(HTTPStatus.CONFLICT, ENDED[outcome], location=location)

    account = request.idempotency_key and accounts.status_of(
        customer_id, dynamodb=dynamodb, table_name=settings.customers_table
    )
    refuse_ended(account)
    accepted = registrations.accept(
        request,
        customer_id=customer_id,
        correlation_id=event["requestContext"]["requestId"],
        sqs=sqs,
        queue_url=settings.registration_queue_url,
        records=records,
        context=context,
        api_url=api.url_of(event),
        on_repeat=lambda: None if account else refuse_ended(outcomes.of(customer_id)),
    )
    logger.info("Registration accepted")
    metrics.add_metric("RegistrationAccepted", MetricUnit.Count, int(not request.customer.is_simulated))
    location = api.status_url(accepted.customer_id, posted_to=event["path"])
    return api.respond(HTTPStatus.ACCEPTED, accepted, Location=location)
