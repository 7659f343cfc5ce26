"""A fake of AWS with the stack's resources, which records the calls."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import boto3
import urllib3
from botocore.client import BaseClient
from moto import mock_aws
from moto.events.models import EventPattern

from onboarding.adapters import downstream
from onboarding.runtime import aws
from tests.in_process import functions, template

# The downstream systems of the stack, one of each kind, as an operator configures them.
SYSTEMS: dict[str, dict[str, Any]] = {
    "crm": {"kind": "http", "url": "https://crm.example.com/v1", "authentication": {"type": "apiKey"}},
    "ledger": {
        "kind": "sqs",
        "queueUrl": f"https://sqs.{template.REGION}.amazonaws.com/{template.ACCOUNT}/{template.QUEUE_OF_A_SYSTEM}",
    },
}


class Call(NamedTuple):
    """A call of AWS: the service's name in IAM, the operation, its parameters."""

    service: str
    operation: str
    parameters: dict[str, Any]


@cache
def client(service: str) -> Any:
    """A client for the tests, beside the functions' own."""
    session: Any = boto3.Session("testing", "testing", region_name=template.REGION)
    return session.client(service)


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Record each call of AWS inside the block."""
    calls: list[Call] = []
    make: Any = vars(BaseClient)["_make_api_call"]

    def record(caller: Any, operation: str, parameters: dict[str, Any]) -> Any:
        calls.append(Call(caller.meta.service_model.signing_name, operation, parameters))
        return make(caller, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", record):
        yield calls


@contextmanager
def stack() -> Iterator[None]:
    """A new, empty stack, with configured downstream systems that answer each HTTP request 204."""
    answer = lambda *_, **__: urllib3.HTTPResponse(BytesIO(), status=204, preload_content=False)  # noqa: E731
    environment = patch.dict(os.environ, functions.RUNTIME_ENVIRONMENT)
    with mock_aws(), environment, patch.object(urllib3.PoolManager, "urlopen", answer):
        create_tables()
        known = {value for function in functions.deployed().values() for value in function.environment.values()}
        for logical_id in template.resources("AWS::SQS::Queue"):
            if template.reference_to(logical_id) in known:  # no function sends to another
                client("sqs").create_queue(QueueName=template.name_of(logical_id))
        for logical_id in template.resources("AWS::Events::EventBus"):
            client("events").create_event_bus(Name=template.name_of(logical_id))
        for logical_id, machine in template.resources("AWS::Serverless::StateMachine").items():
            client("stepfunctions").create_state_machine(
                name=template.name_of(logical_id), definition="{}", roleArn=machine["Role"]
            )
        client("sesv2").create_email_identity(EmailIdentity=template.reference_to("SenderEmail"))
        for configuration_set in template.resources("AWS::SES::ConfigurationSet").values():
            client("sesv2").create_configuration_set(ConfigurationSetName=configuration_set["Name"])
        _configure_systems()
        yield


def create_tables() -> None:
    for logical_id, table in template.resources("AWS::DynamoDB::Table").items():
        keys = {key: table[key] for key in ("AttributeDefinitions", "KeySchema", "BillingMode")}
        client("dynamodb").create_table(TableName=template.name_of(logical_id), **keys)


def queues_of(event: dict[str, Any]) -> list[str]:
    """The names of the queues to which the stack's rules send an event."""
    return [queue for pattern, queue in _targets() if pattern.matches_event(cast("Any", event))]


@cache
def _targets() -> list[tuple[EventPattern, str]]:
    return [
        (EventPattern.load(json.dumps(rule["EventPattern"])), target["Arn"].rpartition(":")[2])
        for rule in template.resources("AWS::Events::Rule").values()
        for target in rule["Targets"]
    ]


_make_client = cache(aws.client)


def _configure_systems() -> None:
    client("sqs").create_queue(QueueName=template.QUEUE_OF_A_SYSTEM, Attributes={"FifoQueue": "true"})
    deployed = functions.deployed().values()
    users = [functions.modules()[it.package] for it in deployed if "DOWNSTREAM_PREFIX" in it.environment]
    for prefix in {user.settings.downstream_prefix for user in users}:
        for name, settings in SYSTEMS.items():
            client("ssm").put_parameter(Name=f"{prefix}{name}", Value=json.dumps(settings), Type="String")
            client("secretsmanager").create_secret(Name=f"{prefix}{name}", SecretString='{"apiKey": "the-key"}')
    for user in users:  # as Lambda starts it, with nothing cached
        vars(user)["systems"] = downstream.Systems(user.settings.downstream_prefix, _make_client)
