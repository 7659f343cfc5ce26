"""What waits in the dead-letter queues, and how it gets back to where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from cli import NotPossible
from cli.aws.queues import messages
from cli.operate.columns import columns

if TYPE_CHECKING:
    from cli.aws.stack import Stack

QUEUE = "Queue"
DEAD_LETTER_QUEUE = "DeadLetterQueue"
# How long a message that is looked at is hidden, so that the next call brings another one.
LOOK_SECONDS = 30
MOST = 100


class DeadLetter(NamedTuple):
    """A message, without its body, which is personal; `received` counts its receipts, this look included."""

    message_id: str
    sent: datetime
    received: int


def counts(stack: Stack) -> Iterator[tuple[str, int]]:
    """How many messages are in each dead-letter queue, by what stands before it, such as `Registration`."""
    for name, count in messages(stack):
        if name.endswith(DEAD_LETTER_QUEUE):
            yield name.removesuffix(DEAD_LETTER_QUEUE), count


def look(stack: Stack, name: str) -> list[DeadLetter]:
    """Return what waits in a dead-letter queue, the oldest first, at most 100; each stays where it is.

    Raises:
        NotPossible: there is no such queue.
    """
    url, _ = _urls(stack, name)
    sqs = stack.session.client("sqs")
    found, handles = list[DeadLetter](), list[str]()
    try:
        while len(found) < MOST:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=LOOK_SECONDS,
                WaitTimeSeconds=1,  # asks all of SQS's servers
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
            if not answer.get("Messages"):
                break
            for message in answer["Messages"]:
                handles.append(message["ReceiptHandle"])
                attributes = message["Attributes"]
                sent = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
                found.append(DeadLetter(message["MessageId"], sent, int(attributes["ApproximateReceiveCount"])))
    finally:
        for handle in handles:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
    return sorted(found, key=lambda letter: letter.sent)


def counted(counts: Iterable[tuple[str, int]]) -> Table:
    """Lay out what `counts` yields."""
    table = columns("queue", "messages")
    for name, count in counts:
        table.add_row(name, str(count), style="red" if count else "")
    return table


def listed(letters: Iterable[DeadLetter]) -> Table:
    """Lay messages out, a line each."""
    table = columns("message", "first sent", "received")
    for letter in letters:
        table.add_row(letter.message_id, f"{letter.sent:%Y-%m-%d %H:%M:%S}", str(letter.received))
    return table


def move_back(stack: Stack, name: str) -> str:
    """Start to move the messages of a dead-letter queue back to their queue; return the task's handle.

    The queue is named, since SQS doesn't know where a message came from that EventBridge itself gave up.

    Raises:
        NotPossible: there is no such queue.
        botocore.exceptions.ClientError: SQS refused, since a move is under way.
    """
    sqs = stack.session.client("sqs")
    dead, queue = (
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for url in _urls(stack, name)
    )
    return sqs.start_message_move_task(SourceArn=dead, DestinationArn=queue)["TaskHandle"]


def _urls(stack: Stack, name: str) -> tuple[str, str]:
    """The URLs of a dead-letter queue and of the queue before it."""
    queues = dict(stack.resources("AWS::SQS::Queue"))
    if f"{name}{DEAD_LETTER_QUEUE}" not in queues:
        known = ", ".join(sorted(it.removesuffix(DEAD_LETTER_QUEUE) for it in queues if it.endswith(DEAD_LETTER_QUEUE)))
        raise NotPossible(f"There is no dead-letter queue of {name}, but of: {known}")
    return queues[f"{name}{DEAD_LETTER_QUEUE}"], queues[f"{name}{QUEUE}"]
