"""Planned faults of a partner."""

from collections.abc import Mapping
from enum import StrEnum
from threading import Lock
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass


class FaultKind(StrEnum):
    """How a request fails: without effect, unless the name says `after`."""

    REFUSE = "refuse"  # 422
    UNAVAILABLE = "unavailable"  # 503, with Retry-After if the fault has one
    THROTTLE = "throttle"  # 429, with Retry-After: 1 by default
    HANG = "hang"  # no answer
    HANG_AFTER = "hang-after"  # no answer, after the work is done
    RESET = "reset"  # TCP reset
    RESET_AFTER = "reset-after"  # TCP reset, after the work is done


@dataclass(frozen=True, config=ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid"))
class Fault:
    """Fail the next `times` requests with one of these methods."""

    kind: FaultKind
    times: int = Field(default=1, ge=1)
    methods: frozenset[str] = frozenset({"PUT"})
    retry_after_seconds: int | None = Field(default=None, ge=1)


class Plan(BaseModel):
    """A customer's faults, in order; `customer` is the account's e-mail address or the customerId."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    customer: str
    faults: tuple[Fault, ...]


class Faults:
    """The faults still to come."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._planned: dict[str, list[Fault]] = {}
        self._emails: dict[str, str] = {}

    def plan(self, customer: str, *faults: Fault) -> None:
        """Plan a customer's faults, in order, instead of earlier plans."""
        with self._lock:
            self._planned[customer] = [fault for fault in faults for _ in range(fault.times)]

    def take(self, method: str, customer_id: str, account: Mapping[str, Any]) -> Fault | None:
        """Remove and return the fault for a request about a customer, if any."""
        with self._lock:
            if isinstance(account.get("email"), str):  # a deletion has none; the creation had
                self._emails[customer_id] = account["email"]
            for customer in (customer_id, self._emails.get(customer_id, "")):
                for fault in self._planned.get(customer, []):
                    if method in fault.methods:
                        self._planned[customer].remove(fault)
                        return fault
        return None
