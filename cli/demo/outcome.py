"""What became of a customer, and how that differs from what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.demo.customers import Customer


@dataclass(frozen=True)
class Answer:
    """The API's answer: its status, its body as parsed JSON, and the statuses that asked to come again, before it."""

    status: int
    document: dict[str, Any]
    refusals: tuple[int, ...] = ()

    @property
    def customer_id(self) -> str | None:
        """The customerId, where the registration was accepted."""
        return self.document.get("customerId")


@dataclass(frozen=True)
class Execution:
    """An execution: its status, the states that it entered, in order, its output or its error and the cause."""

    status: str
    states: tuple[str, ...]
    output: dict[str, str]
    error: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Holding:
    """What a downstream system has of a customer, and what it answered to each request, where it answers."""

    has_account: bool
    has_tombstone: bool
    answers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The answer to a registration and all that followed.

    `execution` is absent where none was started. `events` are EventBridge's envelopes, in the
    order in which they occurred; `mails` are entries of the emulator's outbox; `holdings` are by the
    downstream system's name; `status_response` is what the API answers to how far it is.
    """

    customer: Customer
    answer: Answer
    execution: Execution | None
    events: tuple[dict[str, Any], ...]
    mails: tuple[dict[str, Any], ...]
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    status_response: Mapping[str, Any] = field(default_factory=dict)

    @property
    def event_types(self) -> list[str]:
        return [event["detail-type"] for event in self.events]

    @property
    def status(self) -> str | None:
        """The status in the execution's output; where it has none, Step Functions' own."""
        if self.execution is None:
            return None
        return self.execution.output.get("status", self.execution.status)

    @property
    def reason(self) -> str | None:
        """The reason in the execution's output; where that failed, the one in its last event."""
        if self.execution is None:
            return None
        last = self.events[-1]["detail"] if self.events and self.execution.status == "FAILED" else {}
        return self.execution.output.get("reason", last.get("reason"))

    @property
    def accounts(self) -> list[str]:
        """The downstream systems in which the customer has an account."""
        return [name for name, holding in self.holdings.items() if holding.has_account]

    @property
    def tombstones(self) -> list[str]:
        """The downstream systems in which the customer's account was deleted, or barred before there was one."""
        return [name for name, holding in self.holdings.items() if holding.has_tombstone]

    @property
    def failed_systems(self) -> dict[str, str]:
        """The downstream systems that failed, as was published, and how."""
        systems = (system for event in self.events for system in event["detail"].get("systems", []))
        return {system["system"]: system["status"] for system in systems}

    @property
    def errors(self) -> list[dict[str, str]]:
        """What is wrong with which field, as the API or the workflow said: {field, message, …}."""
        documents = [self.answer.document, *(event["detail"] for event in self.events)]
        return [error for document in documents for error in document.get("errors", [])]


def differences(outcome: Outcome, outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """A sentence for each thing that is not as expected; `outcomes` are all, by customer's name."""
    expected = outcome.customer.expect
    everywhere = list(outcome.holdings)
    comparisons: list[tuple[str, object, object]] = [
        ("the answer", expected.http, outcome.answer.status),
        ("the status", expected.status, outcome.status),
        ("the reason", expected.reason, outcome.reason),
        ("the status that the API tells", expected.status, outcome.status_response.get("status")),
        ("the error", expected.error, (outcome.execution.error if outcome.execution else "") or None),
        # In every system, or in none.
        ("the accounts", everywhere if expected.is_onboarded else [], outcome.accounts),
        ("the tombstones", everywhere if expected.failed_systems else [], outcome.tombstones),
        ("the systems that failed", expected.failed_systems, outcome.failed_systems),
        ("refused", sorted(expected.fields), sorted(error["field"] for error in outcome.errors)),
        ("the events", sorted(expected.events), sorted(outcome.event_types)),
        ("the number of mails", int(expected.mail), len(outcome.mails)),
    ]
    if expected.same_customer:
        first = outcomes[expected.same_customer].answer.customer_id
        comparisons.append(("the customerId", first, outcome.answer.customer_id))
    for what, should, was in comparisons:
        if should != was:
            yield f"{what} should be {should}, was {was}"
    for mail in outcome.mails:
        if expected.html not in mail["BodyHtml"]:
            yield f"the mail's HTML should contain {expected.html}"
