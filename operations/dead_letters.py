"""What waits in the dead-letter queues, and how it gets back to where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from operations.stack import NotPossible

if TYPE_CHECKING:
    from operations.stack import Stack

SUFFIX = "DeadLetterQueue"


def counts(stack: Stack) -> Iterator[tuple[str, int]]:
    """How many messages wait in each dead-letter queue, by what stands before it, such as `Registration`."""
    sqs = stack.session.client("sqs")
    for logical_id, url in stack.resources("AWS::SQS::Queue"):
        if logical_id.endswith(SUFFIX):
            answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            yield logical_id.removesuffix(SUFFIX), int(answer["Attributes"]["ApproximateNumberOfMessages"])


def move_back(stack: Stack, name: str) -> str:
    """Start to move the messages of a dead-letter queue back to their queue; return the task's handle.

    Raises:
        NotPossible: there is no such queue.
        botocore.exceptions.ClientError: SQS refused, since a move is under way.
    """
    queues = dict(stack.resources("AWS::SQS::Queue"))
    if f"{name}{SUFFIX}" not in queues:
        known = ", ".join(sorted(it.removesuffix(SUFFIX) for it in queues if it.endswith(SUFFIX)))
        raise NotPossible(f"There is no dead-letter queue of {name}, but of: {known}")
    sqs = stack.session.client("sqs")
    answer = sqs.get_queue_attributes(QueueUrl=queues[f"{name}{SUFFIX}"], AttributeNames=["QueueArn"])
    return sqs.start_message_move_task(SourceArn=answer["Attributes"]["QueueArn"])["TaskHandle"]
