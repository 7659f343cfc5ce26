"""Dead letters: count, list and move them back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from cli import NotPossible
from cli.aws.queues import messages

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from cli.aws.stack import Stack

QUEUE = "Queue"
DEAD_LETTER_QUEUE = "DeadLetterQueue"
# Hides a message that was read, so that the next call returns another one.
PEEK_SECONDS = 30
MOST = 100


class DeadLetter(NamedTuple):
    """A message without its body, which is personal data; `received` counts this read too."""

    message_id: str
    sent: datetime
    received: int


def counts(stack: Stack) -> Iterator[tuple[str, int]]:
    """Each dead-letter queue, by its queue's name such as `Registration`, with its number of messages."""
    for name, count in messages(stack):
        if name.endswith(DEAD_LETTER_QUEUE):
            yield name.removesuffix(DEAD_LETTER_QUEUE), count


def peek(stack: Stack, name: str) -> list[DeadLetter]:
    """Return the messages of a dead-letter queue, oldest first, about 100 at most; they stay in the queue."""
    url, _ = _urls(stack, name)
    sqs = stack.session.client("sqs")
    found: list[MessageTypeDef] = []
    try:
        while len(found) < MOST:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=PEEK_SECONDS,
                WaitTimeSeconds=1,  # long polling asks all of SQS's servers
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
            if not answer.get("Messages"):
                break
            found += answer["Messages"]
    finally:
        for message in found:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    letters = []
    for message in found:
        sent, received = (int(message["Attributes"][name]) for name in ("SentTimestamp", "ApproximateReceiveCount"))
        letters.append(DeadLetter(message["MessageId"], datetime.fromtimestamp(sent / 1000, UTC), received))
    return sorted(letters, key=lambda letter: letter.sent)


def move_back(stack: Stack, name: str) -> str:
    """Start moving the messages of a dead-letter queue back; return the task's handle.

    The destination is explicit: SQS doesn't know the source of a message that EventBridge dead-lettered.
    """
    sqs = stack.session.client("sqs")
    dead, queue = (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for url in _urls(stack, name)
    )
    return sqs.start_message_move_task(SourceArn=dead, DestinationArn=queue)["TaskHandle"]


def _urls(stack: Stack, name: str) -> tuple[str, str]:
    """The URLs of a dead-letter queue and of its queue. Raises `NotPossible`."""
    queues = dict(stack.resources("AWS::SQS::Queue"))
    if f"{name}{DEAD_LETTER_QUEUE}" not in queues:
        known = ", ".join(sorted(it.removesuffix(DEAD_LETTER_QUEUE) for it in queues if it.endswith(DEAD_LETTER_QUEUE)))
        raise NotPossible(f"There is no dead-letter queue {name}. Choose one of: {known}")
    return queues[f"{name}{DEAD_LETTER_QUEUE}"], queues[f"{name}{QUEUE}"]
