"""Reading SQS queues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cli.aws.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def take(sqs: SQSClient, queue_url: str) -> Iterator[str]:
    """Yield the body of each message in the queue; up to ten messages are deleted once the next one is requested."""
    while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        yield from (message["Body"] for message in messages)
        sqs.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[{"Id": str(number), "ReceiptHandle": it["ReceiptHandle"]} for number, it in enumerate(messages)],
        )


def messages(stack: Stack) -> Iterator[tuple[str, int]]:
    """Each of the stack's queues, by its logical id, with its number of messages, waiting or in flight."""
    sqs = stack.session.client("sqs")
    for name, url in stack.resources("AWS::SQS::Queue"):
        attributes = sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )["Attributes"]
        yield name, sum(map(int, attributes.values()))
