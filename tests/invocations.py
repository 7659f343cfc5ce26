"""Events for the functions: the samples in events/, also with other contents."""

import json
from base64 import b64encode
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal, TypeVar, get_args, get_origin
from uuid import uuid4

from aws_lambda_powertools.utilities.typing import LambdaContext

from cli import PROJECT
from onboarding.domain.events import SOURCE, Event
from tests.customers import a_customer

SAMPLES = PROJECT / "events"
AnEvent = TypeVar("AnEvent", bound=Event)
OCCURRED_AT = datetime(2026, 11, 23, 10, 30, 42, 123000, tzinfo=UTC)
# A value for each field that some event needs.
_FIELDS: dict[str, Any] = {
    "registered_at": OCCURRED_AT,
    "requested_at": OCCURRED_AT,
    "errors": [{"field": "email", "code": "email_invalid", "message": "Must be an address"}],
    "account_id": "account-1",
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "message_id": "message-1",
    "score": 60,
    "reasons": [{"rule": "rule", "weight": 60, "message": "Message"}],
}


def sample(name: str) -> dict[str, Any]:
    """The sample invocation `{function}/{case}`."""
    return dict(json.loads(_text(name)))


@cache
def _text(name: str) -> str:
    return (SAMPLES / f"{name}.json").read_text(encoding="utf-8")


def as_text(document: object) -> str:
    """Text as it is, anything else as JSON."""
    return document if isinstance(document, str) else json.dumps(document)


def an_api_request(
    body: object, *, content_type: str = "application/json", idempotency_key: str | None = None
) -> dict[str, Any]:
    """A POST from API Gateway; the body is bytes for Base64, text, or anything else for JSON."""
    request = sample("register_customer/plain")
    request["headers"]["Content-Type"] = content_type
    if idempotency_key is not None:
        request["headers"]["Idempotency-Key"] = idempotency_key
    text = b64encode(body).decode() if isinstance(body, bytes) else as_text(body)
    return request | {"isBase64Encoded": isinstance(body, bytes), "body": text}


def a_status_request(customer_id: str, **headers: str) -> dict[str, Any]:
    """A GET of a customer's onboarding from API Gateway."""
    request = sample("get_onboarding/plain")
    request["pathParameters"] = {"customerId": customer_id}
    request["headers"] |= headers
    return request


def a_registration(**changes: Any) -> dict[str, Any]:
    """A message of the registration queue."""
    registration = json.loads(sample("start_onboarding/one-registration")["Records"][0]["body"])
    return dict(registration | {"data": a_customer()} | changes)


def a_batch(*bodies: object) -> dict[str, Any]:
    """A batch of messages from SQS, `message-0` and so on; text as it is, anything else as JSON."""
    batch = sample("start_onboarding/one-registration")
    (record,) = batch["Records"]
    batch["Records"] = [
        deepcopy(record) | {"messageId": f"message-{number}", "body": as_text(body)}
        for number, body in enumerate(bodies)
    ]
    return batch


def failures(*numbers: int) -> dict[str, Any]:
    """The answer to `a_batch` when the messages with these numbers failed."""
    return {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in numbers]}


def an_event(kind: type[AnEvent], customer_id: str = "ada", after: float = 0, **fields: Any) -> AnEvent:
    """An event of this kind, so many seconds after OCCURRED_AT, with the first possible status or reason."""
    choices = {
        name: get_args(field.annotation)[0]
        for name, field in kind.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    return kind.of(
        customer_id,
        correlation_id="request",
        occurred_at=OCCURRED_AT + timedelta(seconds=after),
        **(_FIELDS | {"customer_data": a_customer()} | choices | fields),
    )


def an_envelope(event: Event, **changes: Any) -> dict[str, Any]:
    """One of our events as EventBridge delivers it."""
    return {
        "version": "0",
        "id": str(uuid4()),
        "detail-type": type(event).__name__,
        "source": SOURCE,
        "account": "123456789012",
        "time": event.metadata.occurred_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [],
        "detail": event.model_dump(mode="json", by_alias=True, exclude_none=True),
    } | changes


def an_execution_change(status: str, after: float, customer_id: str = "ada") -> dict[str, Any]:
    """Step Functions' event as a rule passes it on, so many seconds after OCCURRED_AT."""
    changed_at = OCCURRED_AT + timedelta(seconds=after)
    return {
        "id": f"{status}-{after}",
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": changed_at.isoformat(timespec="seconds"),
        "detail": {"name": customer_id, "status": status, "changedAt": int(changed_at.timestamp() * 1000)},
    }


def a_customer_task(**changes: Any) -> dict[str, Any]:
    """The input of ValidateCustomer, CreateAccount and CancelAccount."""
    return sample("create_account/plain") | {"customerData": a_customer()} | changes


def a_provision_task(**changes: Any) -> dict[str, Any]:
    """The input of ProvisionAccount, for the system `crm`."""
    task = sample("provision_account/http")
    return task | {"account": a_customer(accountId=task["account"]["accountId"])} | changes


def a_deprovision_task(**changes: Any) -> dict[str, Any]:
    """The input of DeprovisionAccount, for the system `crm`."""
    return sample("deprovision_account/http") | changes


def a_welcome_email_task(**changes: Any) -> dict[str, Any]:
    """The input of SendWelcomeEmail."""
    return sample("send_welcome_email/plain") | changes


def a_confirmation_task(**changes: Any) -> dict[str, Any]:
    """The input of RequestConfirmation and RemindCustomer."""
    return sample("request_confirmation/plain") | changes


def a_confirmation(customer_id: str, code: str) -> dict[str, Any]:
    """A POST of a code from API Gateway."""
    return sample("confirm_email/plain") | {
        "pathParameters": {"customerId": customer_id},
        "body": json.dumps({"code": code}),
    }


def a_resend(customer_id: str) -> dict[str, Any]:
    """A POST from API Gateway that asks for another code."""
    return sample("confirm_email/resend") | {"pathParameters": {"customerId": customer_id}}


def a_page_request(customer_id: str, **headers: str) -> dict[str, Any]:
    """A GET from API Gateway of the page that the mailed link opens."""
    return sample("confirm_email/page") | {"pathParameters": {"customerId": customer_id}, "headers": headers}


class Context(LambdaContext):
    """The context of an invocation with ten seconds left."""

    def __init__(self) -> None:
        self._function_name = "function-under-test"
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function-under-test"
        self._aws_request_id = "1c1f9d3e-7f0a-4b5e-8e57-3f8f5a9a6d10"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 10_000
