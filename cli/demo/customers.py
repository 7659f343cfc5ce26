"""The customers of the demo, read from customers.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from cli.downstream.partner import Fault

CUSTOMERS = Path(__file__).with_name("customers.yaml")


class _Entry(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Expected(_Entry):
    """What is to become of a customer; the file explains each field."""

    http: int
    same_customer: str | None = None
    status: str | None = None
    reason: str | None = None
    error: str | None = None
    failed_systems: dict[str, str] = {}
    fields: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    mail: bool = False
    html: str = ""

    @property
    def is_onboarded(self) -> bool:
        """Whether the customer is to have an account."""
        return (self.status or "").startswith("ONBOARDED")


class Customer(_Entry):
    """A registration: `customer` is the body that is sent, sound or not."""

    name: str
    title: str
    after: str | None = None
    idempotency_key: str | None = None
    faults: dict[str, tuple[Fault, ...]] = {}
    customer: dict[str, Any]
    expect: Expected


def load(path: Path = CUSTOMERS) -> list[Customer]:
    """Raises `pydantic.ValidationError` where the file is not of this form."""
    return TypeAdapter(list[Customer]).validate_python(yaml.safe_load(path.read_text("utf-8")))
