"""The function that keeps the timelines."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
from tests.invocations import a_batch, an_envelope
from tests.unit.deployment import Functions
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.personal_data import found, typed
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "track_onboarding"
NONE_FAILED: dict[str, Any] = {"batchItemFailures": []}
AT = datetime(2026, 11, 23, 10, 30, 42, 123000, tzinfo=UTC)


def an_event(
    event_type: type[Event] = CustomerRegistered, customer_id: str = "ada", occurred_at: datetime = AT, **fields: Any
) -> dict[str, Any]:
    """An envelope with the event; there is a value for each field that some event needs."""
    some = {"registered_at": AT, "customer_data": a_customer(), "account_id": "account-1"}
    if event_type is CustomerValidated:
        some["status"] = "VALID"
    return an_envelope(event_type.of(customer_id, correlation_id="request", occurred_at=occurred_at, **some | fields))


def an_account(**fields: Any) -> dict[str, Any]:
    return an_event(CustomerAccountCreated, email="ada@example.com", name="Ada Lovelace", **fields)


def a_stop(customer_id: str = "ada", **changes: Any) -> dict[str, Any]:
    """What the rules hand on of Step Functions' event."""
    return {
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "time": "2026-11-23T10:31:00Z",
        "detail": {"name": customer_id, "status": "FAILED", "changedAt": 1795429860123} | changes,
    }


MALFORMED: dict[str, Any] = {
    "no JSON": "Ada Lovelace, ada@example.com",
    "no object": "[]",
    "no envelope": {"customerId": "ada"},
    "no customerId": an_event() | {"detail": {"customerData": a_customer()}},
    "a customerId that is none": an_event() | {"detail": an_event()["detail"] | {"customerId": "ada lovelace"}},
    "no metadata": an_event() | {"detail": {"customerId": "ada", "customerData": a_customer()}},
    "a reason that is unknown": an_event(WelcomeEmailFailed, reason="BOUNCED")
    | {"detail": an_event(WelcomeEmailFailed, reason="BOUNCED")["detail"] | {"reason": "LOST"}},
    "a status that is unknown": a_stop(status="PAUSED"),
    "no date": a_stop(changedAt=None),
    "no execution": a_stop(name=""),
}


def failed(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in numbers]}


def entries(table: Table) -> dict[str, dict[str, Any]]:
    """What is kept, by its key."""
    return {key: json.loads(item["entry"]["S"]) for key, item in table.items.items()}


def test_each_event_is_kept_by_its_customer_and_its_id(runtime: Runtime, timelines_table: Table) -> None:
    assert runtime.invoke(FUNCTION, a_batch(an_event(), an_account(), a_stop())) == NONE_FAILED

    assert entries(timelines_table) == {
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
        "ada 315c1398-40ff-a850-213b-158f73e60175": {
            "customerId": "ada",
            "eventId": "315c1398-40ff-a850-213b-158f73e60175",
            "type": "ExecutionFailed",
            "occurredAt": "2026-11-23T10:31:00.123000Z",
        },
    }


def test_an_event_that_comes_again_changes_nothing(runtime: Runtime, timelines_table: Table) -> None:
    runtime.invoke(FUNCTION, a_batch(an_event()))
    before = timelines_table.items

    assert runtime.invoke(FUNCTION, a_batch(an_event(), an_event())) == NONE_FAILED

    assert timelines_table.items == before
    assert [line["message"] for line in runtime.log] == ["Event tracked", *["Event was tracked before"] * 2]


@pytest.mark.parametrize("later_first", [True, False])
def test_of_two_events_with_one_id_the_earlier_is_kept_whichever_comes_first(
    runtime: Runtime, timelines_table: Table, *, later_first: bool
) -> None:
    bounced = an_event(WelcomeEmailFailed, reason="BOUNCED", occurred_at=AT.replace(microsecond=0))
    complained = an_event(WelcomeEmailFailed, reason="COMPLAINED", occurred_at=AT)

    for envelope in (complained, bounced) if later_first else (bounced, complained):
        assert runtime.invoke(FUNCTION, a_batch(envelope)) == NONE_FAILED

    (kept,) = entries(timelines_table).values()
    assert kept["reason"] == "BOUNCED"


def test_events_twice_and_shuffled_make_the_timelines_of_each_once_in_order(
    runtime: Runtime, timelines_table: Table, functions: Functions
) -> None:
    kinds = [an_event, lambda **fields: an_event(CustomerValidated, **fields), an_account, a_bounce]
    customers = [f"customer-{number}" for number in range(50)]
    in_order = [
        kind(customer_id=customer_id, occurred_at=AT + timedelta(seconds=number))
        for customer_id in customers
        for number, kind in enumerate(kinds)
    ]
    shuffled = in_order * 2
    random.Random(20261123).shuffle(shuffled)  # noqa: S311 - the same order each time

    for first in range(0, len(shuffled), 100):
        assert runtime.invoke(FUNCTION, a_batch(*shuffled[first : first + 100])) == NONE_FAILED

    dynamodb = functions[FUNCTION].dynamodb
    assert len(timelines_table.items) == 200
    for customer_id in customers:
        of_theirs = [json.dumps(envelope) for envelope in in_order if envelope["detail"]["customerId"] == customer_id]
        once = [entry for entry in map(timelines.read, of_theirs) if entry]
        kept = timelines.entries_of(customer_id, dynamodb=dynamodb, table_name=timelines_table.name)
        assert onboarding_from(customer_id, kept) == onboarding_from(customer_id, once)


def a_bounce(**fields: Any) -> dict[str, Any]:
    return an_event(WelcomeEmailFailed, reason="BOUNCED", **fields)


def test_nothing_personal_is_kept(runtime: Runtime, timelines_table: Table) -> None:
    customer = a_customer(firstName="Zoë", phone="+44 20 7946 0958", address={"city": "London"})
    batch = a_batch(an_event(customer_data=customer), an_account())
    runtime.invoke(FUNCTION, batch)

    assert typed(batch) >= {"Zoë", "+44 20 7946 0958", "London", "ada@example.com", "Ada Lovelace"}
    assert found(typed(batch), json.dumps(timelines_table.items)) == set()


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_message_is_reported_and_stops_none_of_its_batch(
    message: object, runtime: Runtime, timelines_table: Table
) -> None:
    batch = a_batch(an_event(customer_id="ada"), message, an_event(customer_id="grace"))

    assert runtime.invoke(FUNCTION, batch) == failed(1)

    assert timelines_table.items.keys() == {"ada ada:CustomerRegistered", "grace grace:CustomerRegistered"}


def test_an_event_that_is_not_tracked_is_acknowledged(runtime: Runtime, timelines_table: Table) -> None:
    unknown = an_event() | {"detail-type": "CustomerMoved"}

    assert runtime.invoke(FUNCTION, a_batch(unknown)) == NONE_FAILED

    assert timelines_table.items == {}
    assert [line["message"] for line in runtime.log] == ["Event ignored"]


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "ThrottlingException", "InternalServerError"]
)
def test_an_event_that_the_table_refuses_is_reported_and_comes_again(
    code: str, runtime: Runtime, timelines_table: Table, functions: Functions
) -> None:
    batch = a_batch(an_event())

    with refusing(functions[FUNCTION].dynamodb, "put_item", code):
        assert runtime.invoke(FUNCTION, batch) == failed(0)

    assert runtime.invoke(FUNCTION, batch) == NONE_FAILED
    assert len(timelines_table.items) == 1


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=lambda error: type(error).__name__)
def test_a_table_out_of_reach_fails_that_message_alone(
    error: Exception, runtime: Runtime, timelines_table: Table, functions: Functions
) -> None:
    with failing(functions[FUNCTION].dynamodb, "PutItem", error):
        batch = a_batch(an_event(customer_id="ada"), an_event(customer_id="grace"))
        assert runtime.invoke(FUNCTION, batch) == failed(0)

    assert timelines_table.items.keys() == {"grace grace:CustomerRegistered"}


def test_every_line_of_the_log_names_its_message_and_what_it_knows_of_it(
    runtime: Runtime, timelines_table: Table
) -> None:
    runtime.invoke(FUNCTION, a_batch(an_event(), "not JSON", a_stop("grace")))

    fields = ("level", "message_id", "customer_id", "correlation_id")
    assert [tuple(line.get(field) for field in fields) for line in runtime.log] == [
        ("INFO", "message-0", "ada", "request"),
        ("ERROR", "message-1", None, None),
        ("INFO", "message-2", "grace", None),
    ]
