"""Who may do what in the deployed stack, and who needs what.

A permission is an action on a resource, as IAM spells them. The template says what a role is granted. What it
needs is found by running the functions on a fake of AWS, and in the definition.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

from tests import invocations
from tests.in_process import aws, functions, template
from tests.in_process.functions import Function
from tests.unit.test_sample_events import BEFORE
from tests.wiring.definition import AWAIT, INVOKE, PUT_EVENTS, rendered, states
from tests.wiring.expressions import evaluate


class Permission(NamedTuple):
    """An action on a resource; in the idempotency table, which serves several purposes, on items with these keys."""

    action: str
    resource: str
    keys: str = ""


# Actions that take no resource: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
DELIVER_LOGS = frozenset(
    Permission(f"logs:{action}", "*")
    for action in (
        *("PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups", "ListLogDeliveries"),
        *("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery"),
    )
)
# These take none: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
TRACE = frozenset(Permission(f"xray:{action}", "*") for action in ("PutTraceSegments", "PutTelemetryRecords"))
SAMPLE_TRACES = frozenset(Permission(f"xray:{action}", "*") for action in ("GetSamplingRules", "GetSamplingTargets"))
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
GO_ON = Permission("states:SendTaskSuccess", "*")
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRoleForLambda.html
WATCH_ALARMS = Permission("cloudwatch:DescribeAlarms", "*")

# https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html
POLL_A_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
WRITE_A_LOG = ("logs:CreateLogStream", "logs:PutLogEvents")
# https://docs.aws.amazon.com/powertools/python/latest/utilities/idempotency/#iam-permissions
KEEP_RECORDS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem")


# Calls that no sample causes: a poll of an execution is undone if the customer was erased in the meantime, and only a
# code that was mailed lets the workflow go on.
NOT_SAMPLED = {
    "get_onboarding": {Permission("dynamodb:DeleteItem", template.arn_of("TimelinesTable"))},
    "request_confirmation": {GO_ON},
    "confirm_email": {GO_ON},
}


def granted(role_arn: str) -> frozenset[Permission]:
    """The permissions in the role's own policies and in the template's managed ones."""
    return frozenset(
        Permission(action, resource, keys)
        for statement in statements(role_arn)
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        for keys in _keys_in(statement.get("Condition", {}))
    )


def _keys_in(condition: dict[str, Any]) -> list[str]:
    """The leading keys that a condition allows. Without `Null`, ForAllValues holds for a call that has none.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition_examples-multi-valued-context-keys.html
    """
    key = "dynamodb:LeadingKeys"
    allowed: list[str] = condition.get("ForAllValues:StringLike", {}).get(key, [""])
    return allowed if condition.get("Null") == {key: "false"} else [""]


def statements(role_arn: str) -> Iterator[dict[str, Any]]:
    """The statements of a role's policies; KeyError for one of AWS's managed policies."""
    roles = {template.arn_of(name): role for name, role in template.resources("AWS::IAM::Role").items()}
    managed = {template.arn_of(name): it for name, it in template.resources("AWS::IAM::ManagedPolicy").items()}
    role = roles[role_arn]
    documents = [policy["PolicyDocument"] for policy in role.get("Policies", [])]
    documents += [managed[arn]["PolicyDocument"] for arn in role.get("ManagedPolicyArns", [])]
    for document in documents:
        yield from document["Statement"]


def needed_by_function(function: Function) -> frozenset[Permission]:
    """The permissions for its log, its traces, the queues that Lambda polls for it, and its calls."""
    properties = template.resources("AWS::Serverless::Function")[function.logical_id]
    logs = [_arn(properties["LoggingConfig"]["LogGroup"])] if "LoggingConfig" in properties else []
    queues = [event["Properties"]["Queue"] for event in properties.get("Events", {}).values() if event["Type"] == "SQS"]
    return frozenset(
        {Permission(action, log) for log in logs for action in WRITE_A_LOG}
        | {Permission(action, queue) for queue in queues for action in POLL_A_QUEUE}
        | TRACE
        | called(function)
    )


def called(function: Function) -> frozenset[Permission]:
    """The permissions for what the function calls when each of its samples comes twice.

    With Powertools' idempotency it may make all of that library's calls.
    """
    module, calls = functions.modules()[function.package], _calls()[function.package]
    assert calls is not None, f"events/{function}: no sample, or functions/{function}/app.py fails with each of them"
    needed = {permission for call in calls for permission in _permissions(call)} | NOT_SAMPLED.get(
        function.package, set()
    )
    for layer in vars(module).values():
        if isinstance(layer, DynamoDBPersistenceLayer):
            records = {it for it in needed if it.resource == _arn(layer.table_name)}
            needed |= {it._replace(action=action) for it in records for action in KEEP_RECORDS}
    return frozenset(needed)


@cache
def _calls() -> dict[str, list[aws.Call] | None]:
    """Each function's calls of AWS, in a stack of its own; None if it fails with every sample."""
    found: dict[str, list[aws.Call] | None] = dict.fromkeys(functions.modules())
    for function in found:
        with aws.stack():
            for before in (it for name, it in BEFORE.items() if name.startswith(f"{function}/")):
                with suppress(Exception):
                    functions.invoke(*before)
            with aws.recorded() as calls:
                for path in sorted((invocations.SAMPLES / function).glob("*.json")) * 2:
                    with suppress(Exception):  # calls before a bad sample is refused count
                        functions.invoke(function, json.loads(path.read_text(encoding="utf-8")))
                        found[function] = calls
    return found


def needed_by_state_machine(name: str) -> frozenset[Permission]:
    """The permissions for its tasks' calls, its log and its traces."""
    needed = set(DELIVER_LOGS | TRACE | SAMPLE_TRACES)
    for _, state in states(rendered(name), "Task"):
        if state["Resource"] in {INVOKE, AWAIT}:
            needed.add(Permission("lambda:InvokeFunction", state["Arguments"]["FunctionName"]))
        else:
            service, _, operation = state["Resource"].partition(":::")[2].partition(":")
            entries = state["Arguments"]["Entries"] if state["Resource"] == PUT_EVENTS else [state["Arguments"]]
            action = f"{service}:{operation[0].upper()}{operation[1:]}"
            needed |= {Permission(action, arn, _keys_of(entry)) for entry in entries for arn in _arns_in(entry)}
    return frozenset(needed)


def _permissions(call: aws.Call) -> Iterator[Permission]:
    """What a role needs for one call of AWS: its action, on each resource that a parameter names."""
    own = f"{template.REGION}:{template.ACCOUNT}"
    resources = set(_arns_in(call.parameters))
    match call:
        case ("dynamodb", "TransactWriteItems", {"TransactItems": items}):
            for kind, parameters in (it for item in items for it in item.items()):
                operation = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
                yield from _permissions(aws.Call("dynamodb", operation, parameters))
            return
        case ("states", _, {"stateMachineArn": alias}):
            # https://docs.aws.amazon.com/step-functions/latest/dg/auth-version-alias.html
            resources = {alias.rpartition(":")[0]}
        case ("events", _, {"Entries": entries}):
            resources = {arn for entry in entries for arn in _arns_in(entry)}
        case ("ses", _, _):
            # The identity that is verified may be the address, its domain or a parent of that; a recipient's counts too
            # where it is the account's own. https://docs.aws.amazon.com/ses/latest/dg/control-user-access.html
            resources.add(f"arn:{template.PARTITION}:ses:{own}:identity/*")
        case ("states", _, {"executionArn": arn}):  # any execution of the state machine
            resources = {f"{arn.rpartition(':')[0]}:*"}
        case ("ssm", _, {"Name": name}):  # all settings, or all credentials: which systems there are is configured
            resources = {f"arn:{template.PARTITION}:ssm:{own}:parameter{name.rpartition('/')[0]}/*"}
        case ("secretsmanager", _, {"SecretId": name}):
            resources = {f"arn:{template.PARTITION}:secretsmanager:{own}:secret:{name.rpartition('/')[0]}/*"}
    assert resources, f"tests/wiring/permissions.py doesn't know the resource of {call.service}:{call.operation}"
    keys = _keys_of(call.parameters)
    yield from (Permission(f"{call.service}:{call.operation}", resource, keys) for resource in resources)


def _keys_of(parameters: dict[str, Any]) -> str:
    """The keys of the idempotency table that begin as the one in a call does; empty for another table."""
    if parameters.get("TableName") != template.name_of("IdempotencyTable"):
        return ""
    item = evaluate(parameters.get("Key") or parameters["Item"], {}, {"customerId": "ada"})
    return f"{item['id']['S'].partition('#')[0]}#*"


@cache
def _known() -> dict[str, str]:
    """The ARN of each resource by what a call may name it: its name, its URL, or its ARN."""
    known = {name: arn for logical_id, arn in template.arns().items() for name in (template.name_of(logical_id), arn)}
    known |= {str(template.reference_to(logical_id)): arn for logical_id, arn in template.arns().items()}
    queue = str(aws.SYSTEMS["ledger"]["queueUrl"])
    return known | {queue: str(template.reference_to("DownstreamArns")[0])}


def _arn(name: str) -> str:
    return _known()[name]


def _arns_in(parameters: dict[str, Any]) -> Iterator[str]:
    yield from (_known()[value] for value in parameters.values() if isinstance(value, str) and value in _known())


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
