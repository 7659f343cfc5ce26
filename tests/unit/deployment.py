"""The functions as the template deploys them, and what they know of the stack."""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from botocore.client import BaseClient

from tests.in_process import template

ACCOUNT, REGION = template.ACCOUNT, template.REGION
TEMPLATE: dict[str, Any] = template.written()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
CORS = {
    "Access-Control-Allow-Origin": "https://www.example.com",
    "Access-Control-Expose-Headers": "ETag,Location,Retry-After",
}

Functions = Mapping[str, ModuleType]


def clients_of(module: ModuleType) -> Iterator[Any]:
    """The clients of AWS in a function's module, and those inside its objects."""
    for owner in (module, *vars(module).values()):
        yield from (value for value in getattr(owner, "__dict__", {}).values() if isinstance(value, BaseClient))
