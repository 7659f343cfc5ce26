"""The registration queue between the API and the workflow."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.serialization.pydantic import PydanticSerializer

from onboarding.domain.registration import Accepted, Registration, RegistrationRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sqs import SQSClient


def accept(  # noqa: PLR0913 - its ports
    request: RegistrationRequest,
    *,
    customer_id: str,
    correlation_id: str,
    sqs: "SQSClient",
    queue_url: str,
    records: "DynamoDBPersistenceLayer | None" = None,
    context: "LambdaContext | None" = None,
    api_url: str | None = None,
    on_repeat: Callable[[], None] = lambda: None,
) -> Accepted:
    """Queue a registration. With an Idempotency-Key it is queued once; `records` remember the key for 14 days.

    That is longer than an execution runs, so that a repeat learns how it ended: for a key that they remember,
    `on_repeat` is called before the first answer is repeated, and may raise instead.

    Raises:
        IdempotencyValidationError: the key was used with another customer.
        IdempotencyAlreadyInProgressError: the first request with the key is in progress.
        IdempotencyPersistenceLayerError: the records are unreachable.
        botocore.exceptions.ClientError, ConnectionError, HTTPClientError: the queue did not accept it.
    """

    def queue(request: RegistrationRequest) -> Accepted:
        registration = Registration(
            timestamp=datetime.now(UTC),
            customer_id=customer_id,
            correlation_id=correlation_id,
            data=request.data,
            api_url=api_url,
        )
        body = registration.model_dump_json(by_alias=True, exclude_none=True)
        sent = sqs.send_message(QueueUrl=queue_url, MessageBody=body)
        return Accepted(customer_id=customer_id, tracking_id=sent["MessageId"])

    def repeat(response: Accepted, idempotent_data: object) -> Accepted:  # noqa: ARG001 - Powertools' signature
        on_repeat()
        return response

    if request.idempotency_key is None or records is None:
        return queue(request)
    queue_once = idempotent_function(
        queue,
        data_keyword_argument="request",
        config=IdempotencyConfig(
            event_key_jmespath="idempotency_key",
            payload_validation_jmespath="customer",
            expires_after_seconds=14 * 24 * 60 * 60,
            hash_function="sha256",
            lambda_context=context,
            response_hook=repeat,
        ),
        persistence_store=records,
        output_serializer=PydanticSerializer,
        key_prefix="register_customer",
    )
    accepted: Accepted = queue_once(request=request)
    return accepted
