"""The downstream systems of the stack that the tests look at, one of each kind, as an operator configures them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import urllib3

from tests.wiring import template

NAMES = template.CHOSEN["DownstreamSystems"].split(",")
QUEUE_ARN = template.CHOSEN["DownstreamArns"]
QUEUE_NAME = QUEUE_ARN.rpartition(":")[2]
SETTINGS: dict[str, dict[str, Any]] = {
    "crm": {"kind": "http", "url": "https://crm.example.com/v1", "authentication": {"type": "apiKey"}},
    "ledger": {
        "kind": "sqs",
        "queueUrl": f"https://sqs.{template.REGION}.amazonaws.com/{template.ACCOUNT}/{QUEUE_NAME}",
    },
}
SECRETS = {"crm": {"apiKey": "the-key-of-the-crm"}}


def configure(client: Callable[[str], Any], prefix: str) -> None:
    """Write the systems' settings and credentials under the prefix, and make the queue."""
    for name in NAMES:
        client("ssm").put_parameter(Name=f"{prefix}{name}", Value=json.dumps(SETTINGS[name]), Type="String")
    for name, secret in SECRETS.items():
        client("secretsmanager").create_secret(Name=f"{prefix}{name}", SecretString=json.dumps(secret))
    client("sqs").create_queue(QueueName=QUEUE_NAME, Attributes={"FifoQueue": "true"})


@contextmanager
def reachable() -> Iterator[None]:
    """Every HTTP request is answered 200, by nobody: the rules look at what the functions ask of AWS."""

    def answer(*_: object, **__: object) -> urllib3.HTTPResponse:
        return urllib3.HTTPResponse(b"{}", status=200)

    with patch.object(urllib3.PoolManager, "urlopen", answer):
        yield
