"""A downstream system that takes commands from a FIFO queue and confirms none."""

import json
from typing import Any

from cli.aws.queues import take
from cli.machine.emulator import EmulatorSession
from cli.machine.system_configuration import SystemConfiguration

NAME = "ledger"


class QueueSystem:
    """The system that reads the queue: its accounts, from the commands so far."""

    def __init__(self, session: EmulatorSession) -> None:
        self.name = NAME
        self._sqs = session.client("sqs")
        self._queue_url = self._sqs.create_queue(QueueName=f"{NAME}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        self._documents: dict[str, dict[str, Any]] = {}
        self._tombstones: set[str] = set()

    @property
    def configuration(self) -> SystemConfiguration:
        """How to configure it in the stack."""
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        settings = {"kind": "sqs", "queueUrl": self._queue_url}
        return SystemConfiguration(self.name, settings, arn=attributes["Attributes"]["QueueArn"])

    def accounts(self) -> dict[str, dict[str, Any]]:
        """The accounts by customerId, after all commands so far."""
        self._process()
        return self._documents.copy()

    def tombstones(self) -> set[str]:
        """The customerIds of deleted accounts."""
        self._process()
        return self._tombstones.copy()

    def _process(self) -> None:
        for body in take(self._sqs, self._queue_url):
            command = json.loads(body)
            customer_id = command["customerId"]
            if command["command"] == "DeleteAccount":
                self._documents.pop(customer_id, None)
                self._tombstones.add(customer_id)
            elif customer_id not in self._tombstones:
                self._documents[customer_id] = command["account"]
