"""Who may do what in the deployed stack, and who needs what.

A permission is an action on a resource, both as IAM spells them. What a role is granted stands in the template; what it
needs is found by running the functions on a fake of AWS, and by reading the definition.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

from tests import invocations
from tests.wiring import aws, functions, systems, template
from tests.wiring.definition import INVOKE, PUT_EVENTS, UPDATE_ITEM, rendered, states
from tests.wiring.functions import Function


class Permission(NamedTuple):
    action: str
    resource: str


# Actions that take no resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
DELIVER_LOGS = frozenset(
    Permission(f"logs:{action}", "*")
    for action in (
        "CreateLogDelivery",
        "GetLogDelivery",
        "UpdateLogDelivery",
        "DeleteLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "DescribeResourcePolicies",
        "DescribeLogGroups",
    )
)
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html: of these, none takes one.
TRACE = frozenset(Permission(f"xray:{action}", "*") for action in ("PutTraceSegments", "PutTelemetryRecords"))
SAMPLE_TRACES = frozenset(Permission(f"xray:{action}", "*") for action in ("GetSamplingRules", "GetSamplingTargets"))

# https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
POLL_A_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
WRITE_A_LOG = ("logs:CreateLogStream", "logs:PutLogEvents")


def granted(role_arn: str) -> frozenset[Permission]:
    """What the role's own policies and the template's managed policies allow."""
    return frozenset(
        Permission(action, resource)
        for statement in statements(role_arn)
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    )


def statements(role_arn: str) -> Iterator[dict[str, Any]]:
    """The statements of a role's policies; a managed policy of AWS is a KeyError."""
    roles = {template.arn_of(name): role for name, role in template.resources("AWS::IAM::Role").items()}
    managed = {template.arn_of(name): it for name, it in template.resources("AWS::IAM::ManagedPolicy").items()}
    role = roles[role_arn]
    documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    documents += [managed[arn]["PolicyDocument"] for arn in role.get("ManagedPolicyArns", [])]
    for document in documents:
        yield from document["Statement"]


def needed_by_function(function: Function) -> frozenset[Permission]:
    """Its log, its traces, the queues that Lambda polls for it, and what its code calls."""
    properties = template.resources("AWS::Lambda::Function")[function.logical_id]
    log = _arn_by_name("AWS::Logs::LogGroup", properties["LoggingConfig"]["LogGroup"])
    queues = [
        mapping["EventSourceArn"]
        for mapping in template.resources("AWS::Lambda::EventSourceMapping").values()
        if mapping["FunctionName"] == function.arn
    ]
    return frozenset(
        {Permission(action, log) for action in WRITE_A_LOG}
        | {Permission(action, queue) for queue in queues for action in POLL_A_QUEUE}
        | (TRACE if properties["TracingConfig"]["Mode"] == "Active" else frozenset())
        | called(function)
    )


@cache
def called(function: Function) -> frozenset[Permission]:
    """What the function's code calls when it is given each of its sample invocations, twice.

    Where it undoes what another function does, that one has done it before.

    Where it keeps Powertools' records of what was done, that library's calls are added, whichever of them were made.
    """
    succeeded = 0
    samples = [sample.read_text(encoding="utf-8") for sample in (invocations.SAMPLES / function.package).glob("*.json")]
    with aws.stack() as stack:
        for other in functions.deployed().values():
            if functions.COMPENSATIONS.get(other.package) == function.package:
                for sample in samples:
                    with suppress(Exception):
                        stack.make(aws.Made(other.arn, sample))
        stack.calls.clear()
        with stack.started(function) as invoke:
            for sample in samples:
                for _ in range(2):
                    with suppress(Exception):  # what was called before a bad sample was refused counts
                        invoke(json.loads(sample))
                        succeeded += 1
    assert succeeded, f"{function} fails with each of its samples"
    needed = {permission for call in stack.calls for permission in _permissions(call)}
    with functions.imported(function) as module:
        for layer in vars(module).values():
            if isinstance(layer, DynamoDBPersistenceLayer):
                methods = re.findall(r"self\.client\.(\w+)\(", inspect.getsource(DynamoDBPersistenceLayer))
                table = _arn_by_name("AWS::DynamoDB::Table", layer.table_name)
                operations = layer.client.meta.method_to_api_mapping
                needed |= {Permission(f"dynamodb:{operations[method]}", table) for method in methods}
    return frozenset(needed)


def needed_by_state_machine(properties: dict[str, Any]) -> frozenset[Permission]:
    """What its tasks call, its log and its traces."""
    needed: set[Permission] = set()
    for _, state in states(rendered(), "Task"):
        if state["Resource"] == INVOKE:
            needed.add(Permission("lambda:InvokeFunction", state["Arguments"]["FunctionName"]))
        elif state["Resource"] == PUT_EVENTS:
            for entry in state["Arguments"]["Entries"]:
                bus = _arn_by_name("AWS::Events::EventBus", entry["EventBusName"])
                needed.add(Permission("events:PutEvents", bus))
        elif state["Resource"] == UPDATE_ITEM:
            table = _arn_by_name("AWS::DynamoDB::Table", state["Arguments"]["TableName"])
            needed.add(Permission("dynamodb:UpdateItem", table))
        else:
            raise NotImplementedError(state["Resource"])
    if properties["LoggingConfiguration"]["Level"] != "OFF":
        needed |= DELIVER_LOGS
    if properties["TracingConfiguration"]["Enabled"]:
        needed |= TRACE | SAMPLE_TRACES
    return frozenset(needed)


def _permissions(call: aws.Call) -> Iterator[Permission]:
    """What a role needs for one call of AWS."""
    match call.service, call.operation, call.parameters:
        case "dynamodb", "TransactWriteItems", {"TransactItems": items}:
            for kind, parameters in (it for item in items for it in item.items()):
                operation = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
                yield from _permissions(aws.Call("dynamodb", operation, parameters))
        case "dynamodb", operation, {"TableName": name}:
            yield Permission(f"dynamodb:{operation}", _arn_by_name("AWS::DynamoDB::Table", name))
        case "sqs", operation, {"QueueUrl": url}:
            name = url.rpartition("/")[2]
            theirs = name == systems.QUEUE_NAME
            yield Permission(f"sqs:{operation}", systems.QUEUE_ARN if theirs else _arn_by_name("AWS::SQS::Queue", name))
        case "events", "PutEvents", {"Entries": entries}:
            for entry in entries:
                yield Permission("events:PutEvents", _arn_by_name("AWS::Events::EventBus", entry["EventBusName"]))
        case "states", operation, {"stateMachineArn": arn}:
            yield Permission(f"states:{operation}", arn)
        case "ses", "SendEmail", {"ConfigurationSetName": configuration_set}:
            # The identity that is verified may be the address, its domain or a parent of that; a recipient's counts too
            # where it is the account's own. https://docs.aws.amazon.com/ses/latest/dg/control-user-access.html
            own = f"arn:{template.PARTITION}:ses:{template.REGION}:{template.ACCOUNT}"
            yield Permission("ses:SendEmail", f"{own}:identity/*")
            yield Permission("ses:SendEmail", f"{own}:configuration-set/{configuration_set}")
        case "ssm" | "secretsmanager", operation, _:
            yield Permission(f"{call.service}:{operation}", _arn_of_a_system(call))
        case unknown:
            raise NotImplementedError(unknown)


def _arn_of_a_system(call: aws.Call) -> str:
    """The pattern of all settings, or all credentials: which systems there are is configured.

    The ARN of a secret ends in six letters more than its name has.
    """
    name = call.parameters["Name" if call.service == "ssm" else "SecretId"]
    kind = "parameter" if call.service == "ssm" else "secret:"
    folder, slash, system = name.rpartition("/")
    assert system in systems.NAMES
    return f"arn:{template.PARTITION}:{call.service}:{template.REGION}:{template.ACCOUNT}:{kind}{folder}{slash}*"


def _arn_by_name(resource_type: str, name: str) -> str:
    (arn,) = (
        template.arn_of(logical_id)
        for logical_id in template.resources(resource_type)
        if template.name_of(logical_id) == name
    )
    return arn


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
