"""A consumer of the events, added beside the stack: the template doesn't know it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.aws.queues import take
from cli.aws.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NAME = "demo-event-recorder"


@dataclass(frozen=True)
class EventRecorder:
    """A queue that receives every event published from now on."""

    sqs: SQSClient
    queue_url: str

    def events(self) -> list[dict[str, Any]]:
        """Take the events received so far, in EventBridge's envelope."""
        return [json.loads(body) for body in take(self.sqs, self.queue_url)]


def record_events(stack: Stack) -> EventRecorder:
    """Add a rule for all onboarding events, with a queue as its target.

    On AWS, the queue would also need a policy that lets EventBridge send to it.
    """
    sqs, events = stack.session.client("sqs"), stack.session.client("events")
    bus = stack.outputs["EventBusName"]
    queue_url = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=NAME, EventBusName=bus, EventPattern=json.dumps({"source": ["custom.customerService"]}))
    events.put_targets(Rule=NAME, EventBusName=bus, Targets=[{"Id": "queue", "Arn": queue}])
    return EventRecorder(sqs, queue_url)
