"""The functions as the template deploys them: their modules, imported with the environment it gives them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import moto  # noqa: F401 - before any client is made, or it would not reach them
import pytest
import yaml

from cli import PROJECT

ACCOUNT, REGION = "123456789012", "us-east-1"


class _Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms, such as `!Ref X`, as the long ones."""


def _long_form(loader: _Loader, function: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if function == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {function if function in {"Ref", "Condition"} else f"Fn::{function}": value}


_Loader.add_multi_constructor("!", _long_form)
TEMPLATE: dict[str, Any] = yaml.load((PROJECT / "template.yaml").read_text(encoding="utf-8"), _Loader)  # noqa: S506
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]

# What !Ref gives for the parameters and resources that the functions know of.
REFERENCES = {
    "AWS::StackName": "onboarding",
    "AllowedOrigin": "https://www.example.com",
    "SenderEmail": "welcome@example.com",
    "CompanyName": "Smith & Søn",
    "AccountUrl": "https://www.example.com/account?from=mail&new=1",
    "RegistrationQueue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/registrations",
    "IdempotencyTable": "idempotency",
    "CustomersTable": "customers",
    "TimelinesTable": "timelines",
    "FraudTable": "fraud",
    "AnalyticsTable": "analytics",
    "EventBus": "onboarding-events",
    "EmailConfigurationSet": "welcome-email",
    "CustomerOnboardingStateMachine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:CustomerOnboarding",
}

Functions = Mapping[str, ModuleType]


def import_functions() -> Functions:
    """Import each function of the template, anew, and return the modules by the name of their package."""
    functions = [
        resource["Properties"] for resource in RESOURCES.values() if resource["Type"] == "AWS::Serverless::Function"
    ]
    modules = {function["Handler"].partition(".")[0]: _import(function) for function in functions}
    assert modules
    return modules


def _import(function: dict[str, Any]) -> ModuleType:
    name = function["Handler"].removesuffix(".handler")
    for imported in (name, "onboarding.runtime.aws"):
        sys.modules.pop(imported, None)
    with pytest.MonkeyPatch.context() as environment:
        for variable, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            environment.setenv(variable, value)
        for properties in (TEMPLATE["Globals"]["Function"], function):
            for variable, value in properties.get("Environment", {}).get("Variables", {}).items():
                environment.setenv(variable, _resolved(value))
        return import_module(name)


def _resolved(value: Any) -> str:
    """The value of a variable: a text, a !Ref or a !Sub."""
    match value:
        case {"Ref": name}:
            return REFERENCES[name]
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{([\w:]+)\}", lambda found: REFERENCES[found[1]], text)
    return str(value)
