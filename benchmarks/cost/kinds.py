"""The kinds of registration that are counted, each by what makes it one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.partner import Fault, FaultKind

OUTAGE_RETRIES = 5
SYSTEMS = ("crm", "billing", "ledger")


@dataclass(frozen=True)
class Kind:
    """A registration of one kind.

    `systems` are the downstream systems in which the customer gets an account, `customer` what is special in what is
    sent, `refusals` the answers of the mail service before it accepts (an HTTP status and SES's error), `faults` those
    of a downstream system, `status` what becomes of the execution. `taken` says that somebody has that address already.
    """

    name: str
    title: str
    status: str
    systems: tuple[str, ...] = ()
    customer: Mapping[str, Any] = field(default_factory=dict)
    refusals: tuple[tuple[int, str], ...] = ()
    faults: Mapping[str, Fault] = field(default_factory=dict)
    taken: bool = False


ONBOARDED = Kind("onboarded", "onboarded", "ONBOARDED")
ONE_SYSTEM = Kind("one-system", "onboarded, with 1 downstream system", "ONBOARDED", SYSTEMS[:1])
THREE_SYSTEMS = Kind("three-systems", "onboarded, with 3 downstream systems", "ONBOARDED", SYSTEMS)
INVALID = Kind("invalid", "rejected, since invalid", "REJECTED", customer={"firstName": "A"})
TAKEN = Kind("taken", "rejected, since the e-mail address is taken", "REJECTED", taken=True)
COMPENSATED = Kind(
    "compensated",
    "compensated, since 1 of 3 systems refuses",
    "FAILED",
    SYSTEMS,
    faults={"billing": Fault(FaultKind.REFUSE)},
)
WITHOUT_EMAIL = Kind(
    "without-email",
    "onboarded without e-mail, since it is undeliverable",
    "ONBOARDED_WITHOUT_EMAIL",
    refusals=((400, "MessageRejected"),),
)
OUTAGE = Kind(
    "outage",
    f"onboarded after a mail outage of {OUTAGE_RETRIES} retries",
    "ONBOARDED",
    refusals=((503, "InternalServiceErrorException"),) * OUTAGE_RETRIES,
)
KINDS = (ONBOARDED, ONE_SYSTEM, THREE_SYSTEMS, INVALID, TAKEN, COMPENSATED, WITHOUT_EMAIL, OUTAGE)
