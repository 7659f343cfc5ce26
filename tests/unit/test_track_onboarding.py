"""The function that keeps the timelines."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.adapters import timelines
from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerRegistered,
    CustomerValidated,
    Event,
    WelcomeEmailFailed,
)
from onboarding.domain.status import onboarding_from
from tests.customers import a_customer
from tests.invocations import a_batch, an_envelope, an_event, an_execution_change, failures
from tests.unit.deployment import Functions
from tests.unit.faults import refusing
from tests.unit.personal_data import found, typed
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "track_onboarding"
REGISTERED = an_envelope(an_event(CustomerRegistered))
FAILED = an_execution_change("FAILED", 18)
MALFORMED: dict[str, Any] = {
    "no JSON": "Ada Lovelace, ada@example.com",
    "no object": [],
    "no envelope": {"customerId": "ada"},
    "no customerId": REGISTERED | {"detail": {"customerData": a_customer()}},
    "a customerId that is none": REGISTERED | {"detail": REGISTERED["detail"] | {"customerId": "ada lovelace"}},
    "no metadata": REGISTERED | {"detail": {"customerId": "ada", "customerData": a_customer()}},
    "an unknown reason": REGISTERED
    | {"detail-type": "WelcomeEmailFailed", "detail": REGISTERED["detail"] | {"accountId": "a", "reason": "LOST"}},
    "an unknown status": FAILED | {"detail": FAILED["detail"] | {"status": "PAUSED"}},
    "no date": FAILED | {"detail": FAILED["detail"] | {"changedAt": None}},
    "no execution": FAILED | {"detail": FAILED["detail"] | {"name": ""}},
}


def track(runtime: Runtime, *events: Event) -> None:
    assert runtime.invoke(FUNCTION, a_batch(*map(an_envelope, events))) == failures()


def test_each_event_is_kept_by_its_customer_and_its_id(runtime: Runtime, timelines_table: Table) -> None:
    account = an_envelope(an_event(CustomerAccountCreated))

    assert runtime.invoke(FUNCTION, a_batch(REGISTERED, account, FAILED)) == failures()

    assert {key: json.loads(item["entry"]["S"]) for key, item in timelines_table.items.items()} == {
        "ada ada:CustomerRegistered": {
            "customerId": "ada",
            "eventId": "ada:CustomerRegistered",
            "type": "CustomerRegistered",
            "occurredAt": "2026-11-23T10:30:42.123000Z",
        },
        "ada ada:CustomerAccountCreated": {
            "customerId": "ada",
            "eventId": "ada:CustomerAccountCreated",
            "type": "CustomerAccountCreated",
            "occurredAt": "2026-11-23T10:30:42.123000Z",
            "accountId": "account-1",
        },
        f"ada {FAILED['id']}": {
            "customerId": "ada",
            "eventId": FAILED["id"],
            "type": "ExecutionFailed",
            "occurredAt": "2026-11-23T10:31:00.123000Z",
        },
    }


def test_an_event_that_comes_again_changes_nothing(runtime: Runtime, timelines_table: Table) -> None:
    track(runtime, an_event(CustomerRegistered))
    before = timelines_table.items

    track(runtime, an_event(CustomerRegistered), an_event(CustomerRegistered))

    assert timelines_table.items == before
    assert [line["message"] for line in runtime.log] == ["Event tracked", *["Event already tracked"] * 2]


@pytest.mark.parametrize("order", [1, -1])
def test_earlier_of_two_with_one_id_is_kept(runtime: Runtime, timelines_table: Table, order: int) -> None:
    bounced = an_event(WelcomeEmailFailed, reason="BOUNCED", after=-0.123)  # a time without a fraction
    complained = an_event(WelcomeEmailFailed, reason="COMPLAINED")

    for event in (bounced, complained)[::order]:
        track(runtime, event)

    (kept,) = timelines_table.items.values()
    assert json.loads(kept["entry"]["S"])["reason"] == "BOUNCED"


@pytest.mark.slow
def test_events_twice_and_shuffled_make_the_timelines_of_each_once_in_order(
    runtime: Runtime, timelines_table: Table, functions: Functions
) -> None:
    kinds: list[type[Event]] = [CustomerRegistered, CustomerValidated, CustomerAccountCreated, WelcomeEmailFailed]
    in_order = {
        customer_id: [an_event(kind, customer_id, number) for number, kind in enumerate(kinds)]
        for customer_id in (f"customer-{number}" for number in range(50))
    }
    shuffled = [event for events in in_order.values() for event in events] * 2
    random.Random(20261123).shuffle(shuffled)  # noqa: S311 - the same order each time

    for first in range(0, len(shuffled), 100):
        track(runtime, *shuffled[first : first + 100])

    assert len(timelines_table.items) == len(shuffled) / 2
    for customer_id, events in in_order.items():
        once = [entry for event in events if (entry := timelines.read(json.dumps(an_envelope(event))))]
        kept = timelines.entries_of(customer_id, dynamodb=functions[FUNCTION].dynamodb, table_name=timelines_table.name)
        assert onboarding_from(customer_id, kept) == onboarding_from(customer_id, once)


def test_nothing_personal_is_kept(runtime: Runtime, timelines_table: Table) -> None:
    customer = a_customer(firstName="Zoë", phone="+44 20 7946 0958", address={"city": "London"})
    events = an_event(CustomerRegistered, customer_data=customer), an_event(CustomerAccountCreated)
    track(runtime, *events)

    values = typed(a_batch(*map(an_envelope, events)))
    assert values >= {"Zoë", "+44 20 7946 0958", "London", "ada@example.com", "Ada Lovelace"}
    assert found(values, json.dumps(timelines_table.items)) == set()


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_message_is_refused(message: object) -> None:
    with pytest.raises(ValidationError):
        timelines.read(message if isinstance(message, str) else json.dumps(message))


def test_an_event_that_is_not_tracked_is_acknowledged(runtime: Runtime, timelines_table: Table) -> None:
    unknown = REGISTERED | {"detail-type": "CustomerMoved"}

    assert runtime.invoke(FUNCTION, a_batch(unknown)) == failures()

    assert timelines_table.items == {}
    assert [line["message"] for line in runtime.log] == ["Event ignored"]


def test_an_event_that_the_table_refuses_comes_again(
    runtime: Runtime, timelines_table: Table, functions: Functions
) -> None:
    batch = a_batch(REGISTERED)

    with refusing(functions[FUNCTION].dynamodb, "put_item", "ThrottlingException"):
        assert runtime.invoke(FUNCTION, batch) == failures(0)

    assert runtime.invoke(FUNCTION, batch) == failures()
    assert len(timelines_table.items) == 1
