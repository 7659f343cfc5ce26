"""Accepting a registration: it gets its customerId and is queued; the workflow does the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4, uuid5

from onboarding.models import Message
from onboarding.registration import Registration

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from onboarding.models import CustomerData

_IDEMPOTENCY_NAMESPACE = UUID("6f3d7b0e-5f0a-4d0c-9a43-7c0b6d0f5a11")


class Accepted(Message):
    """The answer to a registration: 202 Accepted. The trackingId is the queue's message id."""

    message: str = "Registration accepted"
    customer_id: str
    tracking_id: str


def customer_id_for(customer: CustomerData, idempotency_key: str | None) -> str:
    """Return a new customerId, or with an Idempotency-Key always the same one for the same key and customer.

    So a repeated request makes no second customer even where the record of the first is lost; and a key that comes
    back with another customer, long after its record expired, takes nothing from either.
    """
    if idempotency_key is None:
        return str(uuid4())
    return str(uuid5(_IDEMPOTENCY_NAMESPACE, f"{idempotency_key}\n{_to_json(customer)}"))


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
    sent = sqs.send_message(QueueUrl=queue_url, MessageBody=_to_json(registration))
    return Accepted(customer_id=registration.customer_id, tracking_id=sent["MessageId"])


def _to_json(message: Message) -> str:
    return message.model_dump_json(by_alias=True, exclude_none=True)
