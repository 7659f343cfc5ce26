"""Kind `sqs`: systems that take commands from a FIFO queue, without an answer.

A command is `{"command": "CreateAccount" | "DeleteAccount", "customerId", "account"?}`. The queue keeps a customer's
commands in the order in which they are sent. A creation in flight may be sent after the deletion that undoes it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from botocore.exceptions import ClientError
from pydantic import Field

from onboarding.adapters.outages import FAILURES, is_transient
from onboarding.domain.errors import DownstreamUnavailable, UnexpectedAnswer
from onboarding.domain.models import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_sqs import SQSClient

    from onboarding.domain.tasks import Account


class QueueSettings(Message):
    """Settings of a system of this kind: its queue."""

    kind: Literal["sqs"]
    queue_url: Annotated[str, Field(pattern=r"^https?://\S+\.fifo$")]


class QueueSystem:
    """A downstream system behind a queue. It can't refuse anything."""

    def __init__(self, settings: QueueSettings, sqs: SQSClient) -> None:
        self._queue_url = settings.queue_url
        self._sqs = sqs

    def provision(self, customer_id: str, account: Account) -> None:
        """Queue the creation."""
        self._send("CreateAccount", customer_id, {"account": account.as_sent()})

    def deprovision(self, customer_id: str) -> None:
        """Queue the deletion."""
        self._send("DeleteAccount", customer_id, {})

    def _send(self, command: str, customer_id: str, details: Mapping[str, Any]) -> None:
        try:
            self._sqs.send_message(
                QueueUrl=self._queue_url,
                MessageBody=json.dumps({"command": command, "customerId": customer_id, **details}),
                MessageGroupId=customer_id,
                MessageDeduplicationId=f"{customer_id}-{command}",
            )
        except FAILURES as error:
            answer = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            raise (DownstreamUnavailable if is_transient(error) else UnexpectedAnswer)(answer) from None


def client(make_client: Callable[[str], SQSClient]) -> SQSClient:
    """Return the client that the calls share."""
    return make_client("sqs")


def adapter(
    _system: str, settings: Mapping[str, Any], _credentials: object, _remaining: object, sqs: SQSClient
) -> QueueSystem:
    """Return the adapter of a system with these settings; the function's role is its authentication."""
    return QueueSystem(QueueSettings.model_validate(settings), sqs)
