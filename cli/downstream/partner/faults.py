"""How a partner fails: for which customer, in which way, how often."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from threading import Lock

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass


class FaultKind(StrEnum):
    """Ways to fail. Before the work, unless the name says otherwise."""

    REFUSE = "refuse"
    """422: not this one, however often it is asked."""

    UNAVAILABLE = "unavailable"
    """503, with Retry-After where the fault says so."""

    THROTTLE = "throttle"
    """429, with Retry-After: 1 unless the fault says otherwise."""

    HANG = "hang"
    """No answer until the partner stops."""

    HANG_AFTER = "hang-after"
    """Do the work, and then no answer until the partner stops."""

    RESET = "reset"
    """Reset the connection (TCP RST)."""

    RESET_AFTER = "reset-after"
    """Do the work, and then reset the connection."""


@dataclass(frozen=True, config=ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid"))
class Fault:
    """A way to fail, the next so many times that one of the methods comes."""

    kind: FaultKind
    times: int = Field(default=1, ge=1)
    methods: frozenset[str] = frozenset({"PUT"})
    retry_after_seconds: int | None = Field(default=None, ge=0)


class Plan(BaseModel):
    """What a customer's requests meet, in this order; `customer` is the account's e-mail address or the customerId."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer: str
    faults: tuple[Fault, ...]


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._left: dict[str, list[Fault]] = {}

    def plan(self, customer: str, faults: Sequence[Fault]) -> None:
        """Plan a customer's faults in place of those that were planned before."""
        with self._lock:
            self._left[customer] = list(faults)

    def left(self, customer: str) -> int:
        """How many times the customer's requests will fail yet."""
        with self._lock:
            return sum(fault.times for fault in self._left.get(customer, ()))

    def take(self, customers: Collection[str], method: str) -> Fault | None:
        """The fault that a request meets, if any, counted down; `customers` are the names of the one it is about."""
        with self._lock:
            for customer in customers:
                left = self._left.get(customer, [])
                for index, fault in enumerate(left):
                    if method in fault.methods:
                        left[index : index + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                        return fault
        return None
