"""template.yaml as written, as SAM expands it, and with every reference resolved.

A resolved reference is a name, an ARN or a URL as on AWS. So policies, the definition's substitutions and the
functions' calls can be compared as texts.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any
from unittest.mock import patch

import yaml

from cli import PROJECT

Document = dict[str, Any]

ACCOUNT, REGION, PARTITION = "123456789012", "us-east-1", "aws"
QUEUE_OF_A_SYSTEM = "ledger.fifo"

# Parameters that differ from their defaults. The two downstream systems are of different kinds.
CHOSEN = {
    "AccountUrl": "https://www.example.com/account?from=mail&new=1",
    "AllowedOrigin": "https://www.example.com",
    "CompanyName": "Smith & Søn",
    "DownstreamArns": f"arn:{PARTITION}:sqs:{REGION}:{ACCOUNT}:{QUEUE_OF_A_SYSTEM}",
    "DownstreamSystems": "crm,ledger",
    "EmailConfirmationDays": "7",
    "SenderEmail": "welcome@example.com",
}
_PSEUDO_PARAMETERS = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": PARTITION,
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "onboarding",
}
_NO_VALUE = {"Ref": "AWS::NoValue"}
_NAMES = ("FunctionName", "LogGroupName", "Name", "QueueName", "RoleName", "StateMachineName", "TableName")
_HERE = f"{REGION}:{ACCOUNT}"
_ARNS = {
    "CloudWatch::Alarm": f"arn:{PARTITION}:cloudwatch:{_HERE}:alarm:{{}}",
    "CloudWatch::CompositeAlarm": f"arn:{PARTITION}:cloudwatch:{_HERE}:alarm:{{}}",
    "DynamoDB::Table": f"arn:{PARTITION}:dynamodb:{_HERE}:table/{{}}",
    "Events::EventBus": f"arn:{PARTITION}:events:{_HERE}:event-bus/{{}}",
    "IAM::ManagedPolicy": f"arn:{PARTITION}:iam::{ACCOUNT}:policy/{{}}",
    "IAM::Role": f"arn:{PARTITION}:iam::{ACCOUNT}:role/{{}}",
    "KMS::Key": f"arn:{PARTITION}:kms:{_HERE}:key/{{}}",
    "Lambda::Function": f"arn:{PARTITION}:lambda:{_HERE}:function:{{}}",
    "Logs::DeliveryDestination": f"arn:{PARTITION}:logs:{_HERE}:delivery-destination:{{}}",
    "Logs::LogGroup": f"arn:{PARTITION}:logs:{_HERE}:log-group:{{}}:*",
    "SES::ConfigurationSet": f"arn:{PARTITION}:ses:{_HERE}:configuration-set/{{}}",
    "SQS::Queue": f"arn:{PARTITION}:sqs:{_HERE}:{{}}",
    "StepFunctions::StateMachine": f"arn:{PARTITION}:states:{_HERE}:stateMachine:{{}}",
    "StepFunctions::StateMachineVersion": f"arn:{PARTITION}:states:{_HERE}:stateMachineVersion:{{}}",
}
# What SAM makes of its own types.
_SAM = {"Serverless::Function": "Lambda::Function", "Serverless::StateMachine": "StepFunctions::StateMachine"}
# What Ref returns, if not the name.
_REFERENCES = {
    "IAM::ManagedPolicy": _ARNS["IAM::ManagedPolicy"],
    "SQS::Queue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{{}}",
    "StepFunctions::StateMachine": _ARNS["StepFunctions::StateMachine"],
}
# A place that Fn::Sub fills; ${!…} leaves its ! behind.
_PLACE = re.compile(r"\$\{([^!][^}]*)\}")


class Unresolved(LookupError):
    """A reference to nothing, or to something unknown to this module."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"template.yaml: {problem}, as far as tests/in_process/template.py knows")


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms, such as `!Ref X`, as their long forms."""


def _long_form(loader: _Loader, function: str, node: yaml.Node) -> Document:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = node.value
    if function == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {function if function in {"Ref", "Condition"} else f"Fn::{function}": value}


_Loader.add_multi_constructor("!", _long_form)


def text() -> str:
    return (PROJECT / "template.yaml").read_text(encoding="utf-8")


def parsed(template: str) -> Document:
    """A template, its intrinsic functions in their long form."""
    return dict(yaml.load(template, _Loader))  # noqa: S506


@cache
def written() -> Document:
    """The template as it is written."""
    return parsed(text())


@cache
def transformed(parameters: frozenset[tuple[str, str]] = frozenset()) -> Document:
    """The template as CloudFormation."""
    return expanded(written(), parameters)


def expanded(source: Document, parameters: Iterable[tuple[str, str]]) -> Document:
    """A template as CloudFormation, by SAM's own translator, which takes a second to import."""
    from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # noqa: PLC0415

    # It warns that a toggle, which only SAM on AWS has, is off.
    logging.getLogger("samtranslator.feature_toggle.feature_toggle").setLevel(logging.ERROR)
    template = deepcopy(source)
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/functions"  # as `sam package` leaves them
    for machine in _properties(template["Resources"], "AWS::Serverless::StateMachine").values():
        machine["DefinitionUri"] = "s3://bucket/definition"
    with patch.dict(os.environ, AWS_DEFAULT_REGION=REGION):
        return dict(transform(template, dict(parameters), managed_policy_loader=None))


@contextmanager
def given(parameters: Mapping[str, str], region: str = REGION, stack_name: str = "onboarding") -> Iterator[None]:
    """Resolve references with these parameters, region and stack name inside the block."""
    pseudo_parameters = {"AWS::Region": region, "AWS::StackName": stack_name}
    with patch.dict(CHOSEN, parameters, clear=True), patch.dict(_PSEUDO_PARAMETERS, pseudo_parameters):
        yield


@cache
def _resolved(*, by_sam: bool) -> Document:
    return dict(resolve((transformed() if by_sam else written())["Resources"]))


def resources(resource_type: str, *, by_sam: bool = False) -> Mapping[str, Document]:
    """The resolved properties of the resources of one type, by logical id: as written, or as SAM expands them."""
    return _properties(_resolved(by_sam=by_sam), resource_type)


def written_resources(resource_type: str) -> Mapping[str, Document]:
    """The same, unresolved."""
    return _properties(written()["Resources"], resource_type)


def name_of(logical_id: str) -> str:
    """The name on AWS: the template's, or else the logical id."""
    given = _resource(logical_id).get("Properties", {})
    return str(resolve(next((given[name] for name in _NAMES if name in given), logical_id)))


def reference_to(name: str) -> Any:
    """What Ref returns for a parameter or a resource."""
    if name in _PSEUDO_PARAMETERS:
        return _PSEUDO_PARAMETERS[name]
    if name == _NO_VALUE["Ref"]:
        return _NO_VALUE
    if parameter := written()["Parameters"].get(name):
        value = CHOSEN.get(name, parameter.get("Default"))
        return value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
    alias = written()["Globals"]["Function"]["AutoPublishAlias"]
    if name.endswith(".Alias"):
        return f"{arn_of(name.removesuffix('.Alias'))}:{alias}"
    if _resource(name)["Type"].endswith("Alias"):  # SAM's own
        return f"{arn_of(name.removesuffix(f'Alias{alias}'))}:{alias}"
    return _REFERENCES.get(_type(name), "{}").format(name_of(name))


def arn_of(logical_id: str) -> str:
    if _type(logical_id) == "Events::Rule":
        bus = resolve(_resource(logical_id)["Properties"].get("EventBusName", ""))
        path = "/".join(part for part in ("rule", bus, name_of(logical_id)) if part)  # the default bus goes unnamed
        return f"arn:{PARTITION}:events:{_HERE}:{path}"
    if _type(logical_id) not in _ARNS:
        raise Unresolved(f"{logical_id}, a {_type(logical_id)}, has no ARN")
    return _ARNS[_type(logical_id)].format(name_of(logical_id))


def arns() -> Mapping[str, str]:
    """The ARN of each resource that has one, by its logical id."""
    has_arn = {*_ARNS, "Events::Rule"}
    return {name: arn_of(name) for name in written()["Resources"] if _type(name) in has_arn}


def references(node: object) -> Iterator[str]:
    """The names that Ref, Fn::GetAtt, Fn::Sub and Fn::If under the node refer to."""
    match node:
        case {"Fn::If": [str(condition), *branches]}:
            yield condition
            yield from references(branches)
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            yield name.removesuffix(".Alias")
        case {"Fn::Sub": str(text)}:
            yield from (name.partition(".")[0] for name in _PLACE.findall(text))
        case dict():
            for value in node.values():
                yield from references(value)
        case list():
            for value in node:
                yield from references(value)


def resolve(node: Any) -> Any:
    """The node with its intrinsic functions replaced by their values. Raises `Unresolved`."""
    match node:
        case {"Ref": str(name)}:
            return reference_to(name)
        case dict() if len(node) == 1 and (function := str(next(iter(node)))).startswith("Fn::"):
            if function not in _INTRINSICS:
                raise Unresolved(f"{function} is no intrinsic function")
            return _INTRINSICS[function](node[function])
        case dict():
            values = {name: resolve(value) for name, value in node.items()}
            return {name: value for name, value in values.items() if value is not _NO_VALUE}
        case list():
            return [value for value in map(resolve, node) if value is not _NO_VALUE]
    return node


def _properties(resources: Document, resource_type: str) -> dict[str, Document]:
    return {name: it["Properties"] for name, it in resources.items() if it["Type"] == resource_type}


def _resource(logical_id: str) -> Document:
    for template in (written, transformed):
        if logical_id in template()["Resources"]:
            return dict(template()["Resources"][logical_id])
    raise Unresolved(f"{logical_id} is neither a parameter nor a resource")


def _type(logical_id: str) -> str:
    own = str(_resource(logical_id)["Type"]).removeprefix("AWS::")
    return _SAM.get(own, own)


def _attribute(name: str, attribute: str) -> str:
    match attribute:
        case "Arn":
            return arn_of(name)
        case "QueueName" | "Name":
            return name_of(name)
        case "Version" | "StateMachineRevisionId":
            return "1"
    raise Unresolved(f"{name} has no attribute {attribute}")


def _substitute(argument: str | list[Any]) -> str:
    text, values = (argument, {}) if isinstance(argument, str) else (argument[0], resolve(argument[1]))

    def value(found: re.Match[str]) -> str:
        name, dot, attribute = found[1].partition(".")
        return str(values[name] if name in values else _attribute(name, attribute) if dot else reference_to(name))

    return _PLACE.sub(value, text).replace("${!", "${")


def _equals(argument: list[Any]) -> bool:
    one, other = map(resolve, argument)
    return bool(one == other)


def _if(argument: list[Any]) -> Any:
    name, then, otherwise = argument
    if name not in written()["Conditions"]:
        raise Unresolved(f"{name} is no condition")
    return resolve(then if resolve(written()["Conditions"][name]) else otherwise)


_INTRINSICS: Mapping[str, Callable[[Any], Any]] = {
    "Fn::Equals": _equals,
    "Fn::GetAtt": lambda argument: _attribute(*argument),
    "Fn::If": _if,
    "Fn::Join": lambda argument: str(argument[0]).join(resolve(argument[1])),
    "Fn::Not": lambda argument: not resolve(argument[0]),
    "Fn::Or": lambda argument: any(map(resolve, argument)),
    "Fn::Select": lambda argument: resolve(argument[1])[int(argument[0])],
    "Fn::Split": lambda argument: resolve(argument[1]).split(argument[0]),
    "Fn::Sub": _substitute,
}
