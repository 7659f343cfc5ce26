"""The functions as the template deploys them; their modules are imported with the template's environment."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module, reload
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import moto  # noqa: F401 - it reaches the clients of sessions that are made later
from pydantic import ValidationError

from cli import PROJECT
from onboarding.adapters import fraud
from onboarding.domain import errors
from onboarding.runtime import aws, failures
from tests.in_process import template
from tests.invocations import OCCURRED_AT, Context

reload(aws)  # its session may have been made before
# The samples are of November 2026, and fraud detection ignores what is two weeks old.
vars(fraud)["datetime"] = SimpleNamespace(now=lambda _: OCCURRED_AT)

CODE = PROJECT / "functions"

# The function that undoes what another did, when the onboarding fails.
COMPENSATIONS = {"create_account": "cancel_account", "provision_account": "deprovision_account"}

# Lambda's own variables that matter here.
RUNTIME_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": template.REGION,
    "AWS_DEFAULT_REGION": template.REGION,
}


@dataclass(frozen=True)
class Function:
    """A deployed function.

    `arn` is that of its alias, by which it is called; `timeout` is in seconds, `environment` without Globals.
    """

    logical_id: str
    arn: str
    package: str
    role_arn: str
    timeout: int
    environment: Mapping[str, str] = field(hash=False)

    def __str__(self) -> str:
        return self.package


@cache
def deployed() -> Mapping[str, Function]:
    """The functions by their ARN."""
    common = template.resolve(template.written()["Globals"]["Function"])
    functions = [
        Function(
            logical_id=logical_id,
            arn=template.reference_to(f"{logical_id}.Alias"),
            package=properties["Handler"].removesuffix(".app.handler"),
            role_arn=properties["Role"],
            timeout=properties.get("Timeout", common["Timeout"]),
            environment=properties.get("Environment", {}).get("Variables", {}),
        )
        for logical_id, properties in template.resources("AWS::Serverless::Function").items()
    ]
    return {function.arn: function for function in functions}


class _Modules(Mapping[str, ModuleType]):
    """Imports each on first use, so that a broken one fails only its own tests."""

    def __init__(self) -> None:
        self._functions = {function.package: function for function in deployed().values()}

    def __getitem__(self, package: str) -> ModuleType:
        if package not in self._functions:
            raise LookupError(f"template.yaml: no function has the Handler {package}.app.handler")
        return _imported(self._functions[package])[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


@cache
def modules() -> Mapping[str, ModuleType]:
    """The functions' modules by package. Raises `LookupError` if one lacks a variable of its environment."""
    return _Modules()


def invoke(package: str, event: dict[str, Any]) -> Any:
    """Invoke a function with JSON, and return JSON; raises what the function raises."""
    module = modules()[package]
    module.logger.registered_handler.stream = sys.stdout  # that of this test
    return json.loads(json.dumps(module.handler(json.loads(json.dumps(event)), Context())))


def expected_errors(function: Function) -> frozenset[str]:
    """The names of the errors that the handler expects, in its `@failures.logged(logger, …)`."""
    return frozenset(error.__name__ for error in expected_types(function))


def expected_types(function: Function) -> frozenset[type[Exception]]:
    """The errors that the handler expects."""
    return _imported(function)[1]


def business_errors() -> Mapping[str, type[Exception]]:
    """The errors that the workflow knows by name, by that name."""
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }


@cache
def _imported(function: Function) -> tuple[ModuleType, frozenset[type[Exception]]]:
    """The function's module, with its own clients and environment, and the errors that it expects."""
    name = f"{function.package}.app"
    common = template.resolve(template.written()["Globals"]["Function"]["Environment"]["Variables"])
    variables = {variable: str(value) for variable, value in (common | dict(function.environment)).items()}
    expected: set[type[Exception]] = set()
    logged = failures.logged

    def noted(logger: Any, *errors: type[Exception]) -> Any:
        expected.update(errors)
        return logged(logger, *errors)

    sys.modules.pop(name, None)
    with patch.dict(os.environ, variables | RUNTIME_ENVIRONMENT, clear=True), patch.object(failures, "logged", noted):
        try:
            module = import_module(name)
        except ValidationError as error:
            lacking = ", ".join(str(it["loc"][0]) for it in error.errors())
            raise LookupError(f"template.yaml: {function.logical_id} has no {lacking} in its Environment") from None
    return module, frozenset(expected)
