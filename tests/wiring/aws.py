"""A fake of AWS with the stack's resources in it, and what the functions call there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple
from unittest.mock import patch

import boto3
from moto import mock_aws

from tests.invocations import Context
from tests.wiring import definition, functions, systems, template
from tests.wiring.functions import Function


@dataclass(frozen=True)
class Call:
    """A call of AWS: the service's name in IAM, the operation, its parameters."""

    service: str
    operation: str
    parameters: dict[str, Any]


class Made(NamedTuple):
    """A call that a state machine's task makes: of a function, by its ARN, or of DynamoDB. Its input is JSON."""

    target: str
    given: str


Invoke = Callable[[dict[str, Any]], Any]


@dataclass
class Stack:
    """The stack's resources on the fake. `calls` are the functions' calls of AWS so far."""

    calls: list[Call] = field(default_factory=list)

    @contextmanager
    def started(self, function: Function) -> Iterator[Invoke]:
        """The function, started in its own environment: JSON goes in and comes out; it raises what it raises."""
        aws = import_module("onboarding.runtime.aws")  # the one that the function gets, which other tests import anew
        make_client = aws.client

        def recorded_client(service: str, **options: Any) -> Any:
            made = make_client(service, **options)
            made.meta.events.register("provide-client-params.*.*", self._record)
            return made

        with patch.object(aws, "client", recorded_client), functions.imported(function) as module:
            handler = getattr(module, function.handler_name)
            yield lambda event: json.loads(json.dumps(handler(json.loads(json.dumps(event)), Context())))

    def make(self, call: Made) -> Any:
        """Return the call's answer; raises what a function raises, or AWS."""
        given = json.loads(call.given)
        if call.target == definition.UPDATE_ITEM:
            answer = client("dynamodb").update_item(**given)
            return {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        with self.started(functions.deployed()[call.target]) as invoke:
            return invoke(given)

    def items(self, logical_id: str) -> list[dict[str, Any]]:
        """The items of a table, in DynamoDB's JSON."""
        return list(client("dynamodb").scan(TableName=template.name_of(logical_id))["Items"])

    def _record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append(Call(model.service_model.signing_name, model.name, params))


@contextmanager
def stack() -> Iterator[Stack]:
    """The stack, new and empty; its downstream systems are configured and answer."""
    with mock_aws(), systems.reachable():
        dynamodb = client("dynamodb")
        for logical_id, table in template.resources("AWS::DynamoDB::Table").items():
            keys = {key: table[key] for key in ("AttributeDefinitions", "KeySchema", "BillingMode")}
            dynamodb.create_table(TableName=template.name_of(logical_id), **keys)
        for logical_id in template.resources("AWS::SQS::Queue"):
            client("sqs").create_queue(QueueName=template.name_of(logical_id))
        for bus in template.resources("AWS::Events::EventBus"):
            client("events").create_event_bus(Name=template.name_of(bus))
        for logical_id, machine in template.resources("AWS::StepFunctions::StateMachine").items():
            client("stepfunctions").create_state_machine(
                name=template.name_of(logical_id),
                definition=json.dumps(definition.rendered()),
                roleArn=machine["RoleArn"],
            )
        for prefix in {it.environment["DOWNSTREAM_PREFIX"] for it in _for_systems()}:
            systems.configure(client, prefix)
        client("sesv2").create_email_identity(EmailIdentity=template.ASKED_FOR["SenderEmail"])
        for configuration_set in template.resources("AWS::SES::ConfigurationSet").values():
            client("sesv2").create_configuration_set(ConfigurationSetName=configuration_set["Name"])
        yield Stack()


def answer(calls: tuple[Made, ...]) -> Any:
    """What the last of the calls answers, made one after the other on a new stack. Raises what it raises."""
    *before, last = calls
    return _answer((*_concerning(before, _tables(last)), last))


def items_after(calls: tuple[Made, ...], logical_id: str) -> tuple[Any, ...]:
    """The items in a table after the calls, made one after the other on a new stack."""
    return _items_after(_concerning(calls, {template.name_of(logical_id)}), logical_id)


@cache
def _answer(calls: tuple[Made, ...]) -> Any:
    with stack() as new:
        return [new.make(call) for call in calls][-1]


@cache
def _items_after(calls: tuple[Made, ...], logical_id: str) -> tuple[Any, ...]:
    with stack() as new:
        for call in calls:
            new.make(call)
        return tuple(new.items(logical_id))


def _concerning(calls: Iterable[Made], tables: set[str]) -> tuple[Made, ...]:
    """Those of the calls that use one of the tables: nothing else is kept from one call to another."""
    return tuple(call for call in calls if _tables(call) & tables)


def _tables(call: Made) -> set[str]:
    """The names of the tables that a call uses."""
    if call.target == definition.UPDATE_ITEM:
        return {json.loads(call.given)["TableName"]}
    names = set(map(template.name_of, template.resources("AWS::DynamoDB::Table")))
    return names & set(functions.deployed()[call.target].environment.values())


@cache
def client(service: str) -> Any:
    """A client of our own, beside those of the functions."""
    session: Any = boto3.Session("testing", "testing", region_name=template.REGION)
    return session.client(service)


def _for_systems() -> list[Function]:
    return [it for it in functions.deployed().values() if "DOWNSTREAM_PREFIX" in it.environment]
