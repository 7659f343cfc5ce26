"""The demo's customers, from customers.yaml."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from cli.downstream.partner import Fault

CUSTOMERS = Path(__file__).with_name("customers.yaml")


class Customer(BaseModel):
    """A registration; `customer` is the request body, valid or not. customers.yaml explains the other fields."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    name: str
    title: str
    customer: dict[str, Any]
    expect: str | int
    after: str | None = None
    idempotency_key: str | None = None
    faults: dict[str, tuple[Fault, ...]] = {}


def load() -> list[Customer]:
    return TypeAdapter(list[Customer]).validate_python(yaml.safe_load(CUSTOMERS.read_text("utf-8")))
