"""How a partner fails: for which customer, in which way, how often."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from threading import Lock
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass


class FaultKind(StrEnum):
    """Ways to fail. Before the work, unless the name says otherwise."""

    REFUSE = "refuse"  # 422: not this one, however often it is asked
    UNAVAILABLE = "unavailable"  # 503, with Retry-After where the fault says so
    THROTTLE = "throttle"  # 429, with Retry-After: 1 unless the fault says otherwise
    HANG = "hang"  # no answer until the partner stops
    HANG_AFTER = "hang-after"  # the work, and then no answer until the partner stops
    RESET = "reset"  # a reset of the connection (TCP RST)
    RESET_AFTER = "reset-after"  # the work, and then a reset of the connection


@dataclass(frozen=True, config=ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid"))
class Fault:
    """A way to fail, the next so many times that one of the methods comes."""

    kind: FaultKind
    times: int = Field(default=1, ge=1)
    methods: frozenset[str] = frozenset({"PUT"})
    retry_after_seconds: int | None = Field(default=None, ge=1)


class Plan(BaseModel):
    """What a customer's requests meet, in this order; `customer` is the account's e-mail address or the customerId."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer: str
    faults: tuple[Fault, ...]


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._planned: dict[str, list[Fault]] = {}
        self._emails: dict[str, str] = {}

    def plan(self, customer: str, *faults: Fault) -> None:
        """Have a customer's requests fail, in this order, and in place of what was planned before."""
        with self._lock:
            self._planned[customer] = [fault for fault in faults for _ in range(fault.times)]

    def take(self, method: str, customer_id: str, account: Mapping[str, Any]) -> Fault | None:
        """The fault that a request about a customer meets, if any; it is met this once."""
        with self._lock:
            if isinstance(account.get("email"), str):  # a deletion has none, and is known by the creation's
                self._emails[customer_id] = account["email"]
            for customer in (customer_id, self._emails.get(customer_id, "")):
                for fault in self._planned.get(customer, []):
                    if method in fault.methods:
                        self._planned[customer].remove(fault)
                        return fault
        return None
