"""The function that keeps the timelines."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from onboarding.adapters import timelines
from onboarding.domain.events import CustomerAccountCreated, CustomerRegistered, Event, WelcomeEmailFailed
from tests.customers import a_customer
from tests.invocations import a_batch, an_envelope, an_event, an_execution_change, as_text, failures
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
    "no envelope": {"customerId": "ada"},
    "no customerId": REGISTERED | {"detail": {"customerData": a_customer()}},
    "a malformed customerId": REGISTERED | {"detail": REGISTERED["detail"] | {"customerId": "ada lovelace"}},
    "no metadata": REGISTERED | {"detail": {"customerId": "ada", "customerData": a_customer()}},
    "an unknown reason": REGISTERED
    | {"detail-type": "WelcomeEmailFailed", "detail": REGISTERED["detail"] | {"accountId": "a", "reason": "LOST"}},
    "an unknown status": FAILED | {"detail": FAILED["detail"] | {"status": "PAUSED"}},
    "no date": FAILED | {"detail": FAILED["detail"] | {"changedAt": None}},
    "no execution": FAILED | {"detail": FAILED["detail"] | {"name": ""}},
}


def track(runtime: Runtime, *events: Event) -> None:
    assert runtime.invoke(FUNCTION, a_batch(*map(an_envelope, events))) == failures()


def test_event_is_kept_by_customer_and_id(runtime: Runtime, timelines_table: Table) -> None:
    account = an_envelope(an_event(CustomerAccountCreated))

    assert runtime.invoke(FUNCTION, a_batch(REGISTERED, account, FAILED)) == failures()

    at, failed_at = "2026-11-23T10:30:42.123000Z", "2026-11-23T10:31:00.123000Z"
    entries = [
        {
            "eventId": "ada:ExecutionFailed:2026-11-23T10:31:00.123+00:00",
            "type": "ExecutionFailed",
            "occurredAt": failed_at,
        },
        {"eventId": "ada:CustomerRegistered", "type": "CustomerRegistered", "occurredAt": at},
        {
            "eventId": "ada:CustomerAccountCreated",
            "type": "CustomerAccountCreated",
            "occurredAt": at,
            "accountId": "account-1",
        },
    ]
    assert {key: json.loads(item["entry"]["S"]) for key, item in timelines_table.items.items()} == {
        f"ada {entry['eventId']}": {"customerId": "ada"} | entry for entry in entries
    }


def test_repeated_event_changes_nothing(runtime: Runtime, timelines_table: Table) -> None:
    track(runtime, an_event(CustomerRegistered))
    before = timelines_table.items

    track(runtime, an_event(CustomerRegistered), an_event(CustomerRegistered))

    assert timelines_table.items == before
    assert [line["message"] for line in runtime.log] == ["Event tracked", *["Event already tracked"] * 2]


@pytest.mark.parametrize("order", [1, -1])
def test_earlier_of_two_with_one_id_is_kept(runtime: Runtime, timelines_table: Table, order: int) -> None:
    bounced = an_event(WelcomeEmailFailed, reason="BOUNCED", after=-0.123)  # its time has no fraction
    complained = an_event(WelcomeEmailFailed, reason="COMPLAINED")

    for event in (bounced, complained)[::order]:
        track(runtime, event)

    (kept,) = timelines_table.items.values()
    assert json.loads(kept["entry"]["S"])["reason"] == "BOUNCED"


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
        timelines.read(as_text(message))


def test_untracked_event_is_acknowledged(runtime: Runtime, timelines_table: Table) -> None:
    unknown = REGISTERED | {"detail-type": "CustomerMoved"}

    assert runtime.invoke(FUNCTION, a_batch(unknown)) == failures()

    assert timelines_table.items == {}
    assert [line["message"] for line in runtime.log] == ["Event ignored"]


def test_refused_event_is_retried(runtime: Runtime, timelines_table: Table, functions: Functions) -> None:
    with refusing(functions[FUNCTION].dynamodb, "put_item", "ThrottlingException"):
        assert runtime.invoke(FUNCTION, a_batch(REGISTERED)) == failures(0)

    assert runtime.invoke(FUNCTION, a_batch(REGISTERED)) == failures()
    assert len(timelines_table.items) == 1
