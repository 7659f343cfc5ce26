"""The registration queue: from the API to the workflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onboarding.domain.registration import Accepted, Registration

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from onboarding.domain.models import CustomerData


def accept(
    customer: CustomerData,
    *,
    customer_id: str,
    correlation_id: str,
    sqs: SQSClient,
    queue_url: str,
) -> Accepted:
    """Queue a registration under its customerId.

    Raises:
        botocore.exceptions.ClientError, ConnectionError, HTTPClientError: the queue did not take it.
    """
    registration = Registration(
        timestamp=datetime.now(UTC),
        customer_id=customer_id,
        correlation_id=correlation_id,
        data=customer,
    )
    body = registration.model_dump_json(by_alias=True, exclude_none=True)
    sent = sqs.send_message(QueueUrl=queue_url, MessageBody=body)
    return Accepted(customer_id=customer_id, tracking_id=sent["MessageId"])
