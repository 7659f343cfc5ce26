"""POST /api/customers: accept a registration and queue it."""

import os
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.idempotency.serialization.pydantic import PydanticSerializer
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import registrations
from onboarding.domain.registration import Accepted, customer_id_for
from onboarding.runtime import aws, failures
from onboarding.runtime.api import RegistrationRequest, RequestRefused, onboarding_of, parse_request, respond

ALLOWED_ORIGIN = os.environ["ALLOWED_ORIGIN"]
QUEUE_URL = os.environ["REGISTRATION_QUEUE_URL"]
logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()
sqs = aws.client("sqs")
records = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"], boto3_client=aws.client("dynamodb"))
once_per_key = IdempotencyConfig(
    event_key_jmespath="idempotency_key",
    payload_validation_jmespath="customer",
    expires_after_seconds=24 * 60 * 60,
    hash_function="sha256",
)


@metrics.log_metrics
@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer 202, or a problem: 400, 409, 413, 415, 422, and 503 where AWS is out of reach."""
    correlation_id = event["requestContext"]["requestId"]
    logger.append_keys(correlation_id=correlation_id)
    once_per_key.register_lambda_context(context)
    try:
        accepted = accept(parse_request(event), correlation_id)
    except RequestRefused as refused:
        logger.info("Registration refused", status=refused.problem.status, reason=refused.problem.detail)
        metrics.add_metric("RegistrationRefused", MetricUnit.Count, 1)
        return respond(refused.problem.status, refused.problem, allow_origin=ALLOWED_ORIGIN, **refused.headers)
    logger.info("Registration accepted")
    metrics.add_metric("RegistrationAccepted", MetricUnit.Count, 1)
    location = onboarding_of(accepted.customer_id)
    return respond(HTTPStatus.ACCEPTED, accepted, allow_origin=ALLOWED_ORIGIN, Location=location)


def accept(request: RegistrationRequest, correlation_id: str) -> Accepted:
    """Queue the registration, once for each Idempotency-Key.

    Raises:
        RequestRefused: 409, 422 or 503.
    """
    customer_id = customer_id_for(request.customer, request.idempotency_key)
    logger.append_keys(customer_id=customer_id)
    call = queue_once_per_key if request.idempotency_key else queue
    try:
        return call(request=request, customer_id=customer_id, correlation_id=correlation_id)
    except IdempotencyValidationError:
        raise RequestRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key was used with another registration"
        ) from None
    except IdempotencyAlreadyInProgressError:
        raise RequestRefused(
            HTTPStatus.CONFLICT, "The first request with this Idempotency-Key is in progress", retry_after=1
        ) from None
    except (*aws.FAILURES, IdempotencyPersistenceLayerError):
        logger.exception("Registration not accepted")
        raise RequestRefused(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "It is not known whether the registration was accepted: send it again, with the same Idempotency-Key",
            retry_after=5,
        ) from None


def queue(request: RegistrationRequest, customer_id: str, correlation_id: str) -> Accepted:
    """Queue the registration; raises what botocore raises."""
    return registrations.accept(
        request.customer,
        customer_id=customer_id,
        correlation_id=correlation_id,
        sqs=sqs,
        queue_url=QUEUE_URL,
    )


queue_once_per_key = idempotent_function(
    queue,
    data_keyword_argument="request",
    config=once_per_key,
    persistence_store=records,
    output_serializer=PydanticSerializer,
    key_prefix="register_customer",
)
