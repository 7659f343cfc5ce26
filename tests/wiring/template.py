"""template.yaml as it is written, as SAM makes CloudFormation of it, and as it is deployed: every reference resolved.

Resolved, a resource has the name, the ARN and the URL that it has on AWS. So a policy, the definition's substitutions
and what a function calls can be compared as texts.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from unittest.mock import patch

from samtranslator.translator.transform import transform  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from cli import PROJECT

# It warns that a toggle, which only SAM on AWS has, is off.
logging.getLogger("samtranslator.feature_toggle.feature_toggle").setLevel(logging.ERROR)

Document = dict[str, Any]

ACCOUNT, REGION, PARTITION = "123456789012", "us-east-1", "aws"

# What is asked for when the stack is deployed: the parameters that have no default.
ASKED_FOR = {"SenderEmail": "welcome@example.com"}

# What is chosen instead of the default: two downstream systems, each of another kind (tests/wiring/systems.py).
CHOSEN = {
    "DownstreamSystems": "crm,ledger",
    "DownstreamArns": f"arn:{PARTITION}:sqs:{REGION}:{ACCOUNT}:ledger.fifo",
}

_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": PARTITION,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "customer-onboarding",
}
_NO_VALUE = {"Ref": "AWS::NoValue"}
_NAME_PROPERTIES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::SES::ConfigurationSet": "Name",
    "AWS::SQS::Queue": "QueueName",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
_HERE = f"{REGION}:{ACCOUNT}"
_ARNS = {
    "AWS::CloudWatch::Alarm": f"arn:{PARTITION}:cloudwatch:{_HERE}:alarm:{{}}",
    "AWS::DynamoDB::Table": f"arn:{PARTITION}:dynamodb:{_HERE}:table/{{}}",
    "AWS::Events::EventBus": f"arn:{PARTITION}:events:{_HERE}:event-bus/{{}}",
    "AWS::IAM::ManagedPolicy": f"arn:{PARTITION}:iam::{ACCOUNT}:policy/{{}}",
    "AWS::IAM::Role": f"arn:{PARTITION}:iam::{ACCOUNT}:role/{{}}",
    "AWS::KMS::Key": f"arn:{PARTITION}:kms:{_HERE}:key/{{}}",
    "AWS::Lambda::Function": f"arn:{PARTITION}:lambda:{_HERE}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:{PARTITION}:logs:{_HERE}:log-group:{{}}:*",
    "AWS::SQS::Queue": f"arn:{PARTITION}:sqs:{_HERE}:{{}}",
    "AWS::StepFunctions::StateMachine": f"arn:{PARTITION}:states:{_HERE}:stateMachine:{{}}",
}
# What Ref gives, where it isn't the name.
_REFERENCES = {
    "AWS::IAM::ManagedPolicy": _ARNS["AWS::IAM::ManagedPolicy"],
    "AWS::SQS::Queue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{{}}",
    "AWS::StepFunctions::StateMachine": _ARNS["AWS::StepFunctions::StateMachine"],
}


# A place that Fn::Sub fills; ${!…} leaves its ! behind.
_PLACE = re.compile(r"\$\{([^!][^}]*)\}")


class Unresolved(LookupError):
    """A reference leads nowhere, or to something that this module has yet to learn of."""


@cache
def written() -> Document:
    """The template as it is written, intrinsic functions in their long form."""
    return _parsed()


@cache
def transformed() -> Document:
    """The template as CloudFormation, by SAM's own translator."""
    template = _parsed()
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/functions"  # as `sam package` leaves them
    for machine in _properties(template, "AWS::Serverless::StateMachine").values():
        machine["DefinitionUri"] = "s3://bucket/definition"
    with patch.dict(os.environ, AWS_DEFAULT_REGION=REGION):
        return dict(transform(template, {}, managed_policy_loader=None))


@cache
def deployed() -> Document:
    """The transformed template with every reference resolved. Raises `Unresolved`."""
    return {part: resolve(transformed()[part]) for part in ("Resources", "Outputs")}


def resources(resource_type: str) -> Mapping[str, Document]:
    """The properties of the deployed resources of one type, by logical id."""
    return _properties(deployed(), resource_type)


def written_resources(resource_type: str) -> Mapping[str, Document]:
    """The properties of the resources of one type as they are written, by logical id."""
    return _properties(written(), resource_type)


def name_of(logical_id: str) -> str:
    """The name on AWS: the one that the template gives, or the logical id."""
    resource = _resource(logical_id)
    given = resource.get("Properties", {}).get(_NAME_PROPERTIES.get(resource["Type"], ""))
    return str(resolve(given)) if given else logical_id


def arn_of(logical_id: str) -> str:
    return _arn(logical_id, _resource(logical_id)["Type"])


def references(node: object) -> Iterator[str]:
    """The names that Ref, Fn::GetAtt, Fn::Sub and Fn::If under the node refer to."""
    match node:
        case {"Fn::If": [str(condition), *branches]}:
            yield condition
            yield from references(branches)
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name.removesuffix(".Alias")
        case {"Fn::Sub": str(text)}:
            yield from _substituted(text)
        case {"Fn::Sub": [str(text), dict(values)]}:
            yield from set(_substituted(text)) - set(values)
            yield from references(values)
        case dict():
            for value in node.values():
                yield from references(value)
        case list():
            for value in node:
                yield from references(value)


def resolve(node: Any) -> Any:
    """The node with the value of each intrinsic function in its place. Raises `Unresolved`."""
    match node:
        case {"Ref": str(name)}:
            return _reference(name)
        case dict() if len(node) == 1 and (function := str(next(iter(node)))).startswith("Fn::"):
            if function not in _INTRINSICS:
                raise Unresolved(f"{function} is not an intrinsic function that is known here")
            return _INTRINSICS[function](node[function])
        case dict():
            resolved = {name: resolve(value) for name, value in node.items()}
            return {name: value for name, value in resolved.items() if value is not _NO_VALUE}
        case list():
            return [value for value in map(resolve, node) if value is not _NO_VALUE]
    return node


def _parsed() -> Document:
    text = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    return dict(yaml_parse(text))


def _properties(template: Document, resource_type: str) -> dict[str, Document]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def _resource(logical_id: str) -> Document:
    try:
        return dict(transformed()["Resources"][logical_id])
    except KeyError:
        raise Unresolved(f"{logical_id} is neither a parameter nor a resource") from None


def _reference(name: str) -> Any:
    if name in _PSEUDO_PARAMETERS:
        return _PSEUDO_PARAMETERS[name]
    if name == _NO_VALUE["Ref"]:
        return _NO_VALUE
    if name.endswith(".Alias"):  # SAM's name for what it makes of AutoPublishAlias
        return _reference(f"{name.removesuffix('.Alias')}Alias{written()['Globals']['Function']['AutoPublishAlias']}")
    if parameter := written()["Parameters"].get(name):
        value = (ASKED_FOR | CHOSEN).get(name, parameter.get("Default"))
        return value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
    resource = _resource(name)
    if resource["Type"] == "AWS::Lambda::Alias":
        return f"{arn_of(resource['Properties']['FunctionName']['Ref'])}:{resource['Properties']['Name']}"
    return _REFERENCES.get(resource["Type"], "{}").format(name_of(name))


def _attribute(name: str, attribute: str) -> str:
    if attribute == "Version":
        return "1"
    if attribute == "QueueName":
        return name_of(name)
    if attribute != "Arn":
        raise Unresolved(f"{name}.{attribute} is not an attribute that is known here")
    return _arn(name, _resource(name)["Type"])


def _arn(name: str, resource_type: str) -> str:
    if resource_type == "AWS::Events::Rule":
        bus = resolve(_resource(name)["Properties"].get("EventBusName", ""))
        path = "/".join(part for part in ("rule", bus, name_of(name)) if part)  # the default bus goes unnamed
        return f"arn:{PARTITION}:events:{_HERE}:{path}"
    if resource_type not in _ARNS:
        raise Unresolved(f"the ARN of {name}, a {resource_type}, is not known here")
    return _ARNS[resource_type].format(name_of(name))


def _substitute(argument: str | list[Any]) -> str:
    text, values = (argument, {}) if isinstance(argument, str) else (argument[0], resolve(argument[1]))

    def value(found: re.Match[str]) -> str:
        name, dot, attribute = found[1].partition(".")
        return str(values[name] if name in values else _attribute(name, attribute) if dot else _reference(name))

    return _PLACE.sub(value, text).replace("${!", "${")


def _select(argument: list[Any]) -> Any:
    index, items = argument
    return resolve(items)[int(index)]


def _split(argument: list[Any]) -> list[str]:
    separator, text = argument
    return list(resolve(text).split(separator))


def _join(argument: list[Any]) -> str:
    separator, parts = argument
    return str(separator).join(resolve(parts))


def _equals(argument: list[Any]) -> bool:
    one, other = map(resolve, argument)
    return bool(one == other)


def _if(argument: list[Any]) -> Any:
    name, then, otherwise = argument
    if name not in written()["Conditions"]:
        raise Unresolved(f"{name} is not a condition")
    return resolve(then if resolve(written()["Conditions"][name]) else otherwise)


_INTRINSICS: Mapping[str, Callable[[Any], Any]] = {
    "Fn::Equals": _equals,
    "Fn::GetAtt": lambda argument: _attribute(*argument),
    "Fn::If": _if,
    "Fn::Join": _join,
    "Fn::Not": lambda argument: not resolve(argument[0]),
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _substitute,
}


def _substituted(text: str) -> Iterator[str]:
    for name in _PLACE.findall(text):
        yield name.partition(".")[0]
