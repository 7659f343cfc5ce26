"""A fake of AWS with the stack's resources in it, and what the functions call there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

from tests.invocations import Context
from tests.wiring import definition, functions, template
from tests.wiring.functions import Function


@dataclass(frozen=True)
class Call:
    """A call of AWS: the service's name in IAM, the operation, its parameters."""

    service: str
    operation: str
    parameters: dict[str, Any]


Invoke = Callable[[dict[str, Any]], Any]


@dataclass
class Stack:
    """The stack's resources on the fake. `calls` are the functions' calls of AWS so far."""

    calls: list[Call] = field(default_factory=list)

    @contextmanager
    def started(self, function: Function) -> Iterator[Invoke]:
        """The function, started in its own environment: JSON goes in and comes out; it raises what it raises."""
        aws = import_module("onboarding.aws")  # the one that the function gets, which other tests import anew
        make_client = aws.client

        def recorded_client(service: str, **options: Any) -> Any:
            client = make_client(service, **options)
            client.meta.events.register("provide-client-params.*.*", self._record)
            return client

        with patch.object(aws, "client", recorded_client), functions.imported(function) as module:
            handler = getattr(module, function.handler_name)
            yield lambda event: json.loads(json.dumps(handler(json.loads(json.dumps(event)), Context())))

    def _record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append(Call(model.service_model.signing_name, model.name, params))


@contextmanager
def stack() -> Iterator[Stack]:
    """The stack, new and empty."""
    with mock_aws():
        session = boto3.Session("testing", "testing", region_name=template.REGION)
        dynamodb = session.client("dynamodb")
        for logical_id, table in template.resources("AWS::DynamoDB::Table").items():
            keys = {key: table[key] for key in ("AttributeDefinitions", "KeySchema", "BillingMode")}
            dynamodb.create_table(TableName=template.name_of(logical_id), **keys)
        for logical_id in template.resources("AWS::SQS::Queue"):
            session.client("sqs").create_queue(QueueName=template.name_of(logical_id))
        for logical_id, machine in template.resources("AWS::StepFunctions::StateMachine").items():
            session.client("stepfunctions").create_state_machine(
                name=template.name_of(logical_id),
                definition=json.dumps(definition.rendered()),
                roleArn=machine["RoleArn"],
            )
        session.client("sesv2").create_email_identity(EmailIdentity=template.ASKED_FOR["SenderEmail"])
        for configuration_set in template.resources("AWS::SES::ConfigurationSet").values():
            session.client("sesv2").create_configuration_set(ConfigurationSetName=configuration_set["Name"])
        yield Stack()


@cache
def answer(arn: str, payload: str) -> Any:
    """What the function answers to a payload, both as JSON, on a new stack. Raises what it raises."""
    with stack() as new, new.started(functions.deployed()[arn]) as invoke:
        return invoke(json.loads(payload))
