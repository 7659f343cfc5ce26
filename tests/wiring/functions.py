"""The functions as the template deploys them, and what their code says of itself."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import moto  # noqa: F401 - before any client is made, or it would not reach them
from pydantic import BaseModel

from cli import PROJECT
from onboarding.domain import errors
from tests.wiring import template

CODE = PROJECT / "functions"

# What each function does, another one undoes; the workflow calls that when the onboarding fails.
COMPENSATIONS = {"create_account": "cancel_account", "provision_account": "deprovision_account"}

# What Lambda itself puts into a function's environment, as far as it matters here.
_RUNTIME_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": template.REGION,
    "AWS_DEFAULT_REGION": template.REGION,
}


@dataclass(frozen=True)
class Function:
    """A deployed function.

    `arn` is that of its alias, by which it is called; `timeout` is in seconds, `environment` what the template gives to
    this one alone.
    """

    logical_id: str
    arn: str
    handler: str
    role_arn: str
    timeout: int
    environment: Mapping[str, str] = field(hash=False)

    @property
    def module_name(self) -> str:
        return self.handler.rpartition(".")[0]

    @property
    def handler_name(self) -> str:
        return self.handler.rpartition(".")[2]

    @property
    def package(self) -> str:
        return self.handler.partition(".")[0]

    def __str__(self) -> str:
        return self.package


@cache
def deployed() -> Mapping[str, Function]:
    """The functions by their ARN."""
    common = template.written().get("Globals", {})["Function"].get("Environment", {}).get("Variables", {})
    functions = [
        Function(
            logical_id=logical_id,
            arn=template.resolve({"Ref": f"{logical_id}.Alias"}),
            handler=properties["Handler"],
            role_arn=properties["Role"],
            timeout=properties["Timeout"],
            environment={
                name: value for name, value in properties["Environment"]["Variables"].items() if name not in common
            },
        )
        for logical_id, properties in template.resources("AWS::Lambda::Function").items()
    ]
    return {function.arn: function for function in functions}


@contextmanager
def imported(function: Function) -> Iterator[ModuleType]:
    """The function's module, imported anew in the environment that the template and Lambda give it, no other."""
    environment = {**template.resources("AWS::Lambda::Function")[function.logical_id]["Environment"]["Variables"]}
    before = sys.modules.pop(function.module_name, None)
    try:
        with patch.dict(os.environ, environment | _RUNTIME_ENVIRONMENT, clear=True):
            yield import_module(function.module_name)
    finally:
        sys.modules.pop(function.module_name, None)
        if before:
            sys.modules[function.module_name] = before


@cache
def task_model(function: Function) -> type[BaseModel]:
    """The model that the handler parses its event into: the class in its `….model_validate(event)`."""
    (name,) = (
        call.func.value.id
        for call in ast.walk(_handler(function))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "model_validate"
        and isinstance(call.func.value, ast.Name)
        and isinstance(call.args[0], ast.Name)
        and call.args[0].id == _handler(function).args.args[0].arg
    )
    with imported(function) as module:
        model: type[BaseModel] = getattr(module, name)
        return model


def parse(function: Function, payload: object) -> BaseModel:
    """The payload in the handler's model, which has a field for all of it.

    Raises:
        pydantic.ValidationError: it has too little, too much, or something else.
    """
    return task_model(function).model_validate_json(json.dumps(payload), extra="forbid", by_name=False)


@cache
def expected_errors(function: Function) -> frozenset[str]:
    """The errors that the handler expects, in its `@failures.logged(logger, …)`."""
    return frozenset(
        ast.unparse(error)
        for decorator in _handler(function).decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "failures.logged"
        for error in decorator.args[1:]
    )


@cache
def business_errors() -> Mapping[str, type[Exception]]:
    """The errors that the workflow knows by name, by that name."""
    return {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }


def example_of(error: str) -> Exception:
    """The error as a function raises it."""
    if error == "CustomerInvalid":
        return errors.CustomerInvalid([{"field": "email", "code": "email_invalid", "message": "Must be valid"}])
    return business_errors().get(error, RuntimeError)()


@cache
def raised_errors(function: Function) -> frozenset[str]:
    """The classes in the raise statements of all code of ours that the handler uses, directly or not."""
    return frozenset(
        name
        for part in _used(function)
        for node in ast.walk(part)
        if isinstance(node, ast.Raise) and (name := _raised_class(node))
    )


@cache
def library_raises(function: Function, error: str) -> bool:
    """Whether a package that the handler imports from, of a library's inner packages, raises this error."""
    packages = {
        (spec := find_spec(statement.module)) and spec.origin
        for statement in _module(function).body
        if isinstance(statement, ast.ImportFrom) and statement.module and statement.module.count(".") > 1
    }
    raising = re.compile(rf"\braise {error}\b")
    return any(
        raising.search(path.read_text(encoding="utf-8"))
        for origin in packages
        if origin
        for path in Path(origin).parent.rglob("*.py")
    )


@cache
def environment_reads(function: Function) -> frozenset[str]:
    """The variables that the handler's `settings` are read from."""
    with imported(function) as module:
        settings: BaseModel | None = getattr(module, "settings", None)
        fields = type(settings).model_fields.values() if settings else ()
        return frozenset(str(field.alias) for field in fields)


def _handler(function: Function) -> ast.FunctionDef:
    (handler,) = (
        statement
        for statement in _module(function).body
        if isinstance(statement, ast.FunctionDef) and statement.name == function.handler_name
    )
    return handler


def _module(function: Function) -> ast.Module:
    return _parsed(_file(function.module_name) or CODE / function.module_name)


@cache
def _used(function: Function) -> tuple[ast.AST, ...]:
    """The handler's module, and of ours what its names lead to: functions, classes and values, or modules."""
    found: dict[tuple[str, str], ast.AST] = {}
    waiting = [(function.module_name, "")]
    while waiting:
        module, name = waiting.pop()
        path = _file(module)
        if (module, name) in found or not path:
            continue
        tree = _parsed(path)
        own, imported_names = _definitions(tree), _imported_names(tree)
        if name and name not in own:  # a module of the package
            waiting.append((f"{module}.{name}", ""))
            continue
        found[module, name] = part = own[name] if name else tree
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and node.id in imported_names:
                waiting.append(imported_names[node.id])
            elif isinstance(node, ast.Name) and node.id in own:
                waiting.append((module, node.id))
        waiting += [(it, "") for it in _modules_found_by_name(part, path)]
    return tuple(found.values())


def _definitions(module: ast.Module) -> dict[str, ast.AST]:
    """The statements at the top that give a name its value."""
    definitions: dict[str, ast.AST] = {}
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign):
            definitions |= {it.id: statement for it in statement.targets if isinstance(it, ast.Name)}
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            definitions[statement.target.id] = statement
    return definitions


def _imported_names(module: ast.Module) -> dict[str, tuple[str, str]]:
    """For each name that is imported at the top, its module and its name there."""
    return {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in module.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }


def _modules_found_by_name(code: ast.AST, path: Path) -> Iterator[str]:
    """The modules beside the code, where it searches them by `iter_modules(__path__)`."""
    for node in ast.walk(code):
        if isinstance(node, ast.Call) and ast.unparse(node) == "pkgutil.iter_modules(__path__)":
            prefix = ".".join(path.parent.relative_to(CODE).parts)
            yield from (f"{prefix}.{file.stem}" for file in path.parent.glob("*.py") if file.stem != "__init__")


def _file(module: str) -> Path | None:
    path = CODE / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _raised_class(statement: ast.Raise) -> str | None:
    raised = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return raised.id if isinstance(raised, ast.Name) and raised.id[0].isupper() else None
