"""The analytics: exact, whatever comes twice and in any order."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerAccountCreationFailed,
    CustomerFraudSuspected,
    CustomerRegistered,
    CustomerValidated,
    CustomerValidationFailed,
    Event,
    WelcomeEmailFailed,
    WelcomeEmailSent,
)
from tests.customers import a_customer
from tests.invocations import a_batch, an_envelope, sample
from tests.unit.deployment import Functions
from tests.unit.faults import during
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "record_analytics"
NONE_FAILED: dict[str, Any] = {"batchItemFailures": []}
AT = datetime(2026, 11, 23, 10, 30, 42, 123000, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("analytics_table")


def event(kind: type[Event], customer_id: str = "ada", seconds: float = 0, **fields: Any) -> dict[str, Any]:
    """An envelope with the event, so many seconds after the registration."""
    fields_of: dict[type[Event], dict[str, Any]] = {
        CustomerRegistered: {"registered_at": AT, "customer_data": a_customer()},
        CustomerValidated: {"status": "VALID", "customer_data": a_customer()},
        CustomerValidationFailed: {"status": "INVALID", "errors": _errors(), "customer_data": a_customer()},
        CustomerAccountCreated: {"account_id": "account", "email": "ada@example.com", "name": "Ada"},
        CustomerAccountCreationFailed: {"reason": "EMAIL_TAKEN"},
        WelcomeEmailSent: {"account_id": "account", "message_id": "message"},
        WelcomeEmailFailed: {"account_id": "account", "reason": "UNDELIVERABLE"},
        CustomerFraudSuspected: {"score": 60, "reasons": [{"rule": "rule", "weight": 60, "message": "Message"}]},
    }
    at = AT + timedelta(seconds=seconds)
    return an_envelope(kind.of(customer_id, correlation_id="request", occurred_at=at, **fields_of[kind] | fields))


def _errors() -> list[dict[str, str]]:
    return [{"field": "email", "code": "email_invalid", "message": "Must be"} for _ in range(2)]


def told(runtime: Runtime, first: str = "2026-11-23", last: str = "2026-11-23") -> dict[str, Any]:
    request = sample("get_analytics/period")
    request["queryStringParameters"] = {"from": first, "to": last}
    response = runtime.invoke("get_analytics", request)
    assert response["statusCode"] == 200, response["body"]
    return dict(json.loads(response["body"]))


NOTHING = {
    "registered": 0,
    "validated": 0,
    "accountCreated": 0,
    "emailSent": 0,
    "onboarded": 0,
    "rejected": 0,
    "suspected": 0,
    "rejectionReasons": {},
    "failureReasons": {},
}


@pytest.mark.parametrize(
    ("events", "counts"),
    [
        ([event(CustomerRegistered)], {"registered": 1}),
        ([event(CustomerRegistered), event(CustomerValidated)], {"registered": 1, "validated": 1}),
        (
            [event(CustomerRegistered), event(CustomerValidationFailed)],
            {"registered": 1, "rejected": 1, "rejectionReasons": {"email_invalid": 1}},
        ),
        (
            [event(CustomerRegistered), event(CustomerAccountCreationFailed)],
            {"registered": 1, "rejected": 1, "rejectionReasons": {"EMAIL_TAKEN": 1}},
        ),
        (
            [event(CustomerRegistered), event(CustomerAccountCreationFailed, reason="DOWNSTREAM_FAILED")],
            {"registered": 1, "failureReasons": {"DOWNSTREAM_FAILED": 1}},
        ),
        (
            [event(CustomerRegistered), event(CustomerAccountCreated), event(WelcomeEmailSent, seconds=2.26)],
            {
                "registered": 1,
                "accountCreated": 1,
                "emailSent": 1,
                "onboarded": 1,
                "timeToOnboard": {"median": 2.3, "p95": 2.3},
            },
        ),
        (
            [event(CustomerRegistered), event(WelcomeEmailFailed, seconds=61)],
            {
                "registered": 1,
                "onboarded": 1,
                "failureReasons": {"UNDELIVERABLE": 1},
                "timeToOnboard": {"median": 61.0, "p95": 61.0},
            },
        ),
        (
            [
                event(CustomerRegistered),
                event(WelcomeEmailSent, seconds=1),
                event(WelcomeEmailFailed, seconds=900, reason="BOUNCED"),
            ],
            {
                "registered": 1,
                "emailSent": 1,
                "onboarded": 1,
                "failureReasons": {"BOUNCED": 1},
                "timeToOnboard": {"median": 1.0, "p95": 1.0},
            },
        ),
        ([event(CustomerRegistered), event(CustomerFraudSuspected)], {"registered": 1, "suspected": 1}),
        ([event(CustomerValidated)], {}),  # of which day is not known yet
    ],
)
def test_each_event_is_counted_in_any_order_and_however_often(
    events: list[dict[str, Any]], counts: dict[str, Any], runtime: Runtime, analytics_table: Table
) -> None:
    for order in permutations(events):
        for one in (*order, *order):
            assert runtime.invoke(FUNCTION, a_batch(one)) == NONE_FAILED

        answer = told(runtime)
        assert answer["total"] == NOTHING | counts
        assert answer["days"] == [{"date": "2026-11-23"} | NOTHING | counts]
        analytics_table.forget()


def test_a_customer_counts_for_the_utc_day_of_the_registration(runtime: Runtime) -> None:
    late = datetime.fromisoformat("2026-11-22T23:59:59.999-05:00")
    runtime.invoke(
        FUNCTION, a_batch(event(CustomerRegistered, registered_at=late), event(CustomerValidated, seconds=9))
    )

    days = {day["date"]: day["validated"] for day in told(runtime, "2026-11-22", "2026-11-24")["days"]}

    assert days == {"2026-11-22": 0, "2026-11-23": 1, "2026-11-24": 0}


def customers(number: int, chance: random.Random) -> Iterator[tuple[list[dict[str, Any]], Counter[str], float | None]]:
    """The events of each customer, what they come to, and the seconds to onboard."""
    for index in range(number):
        customer_id, counts = f"c{index}", Counter({"registered": 1})
        seconds = round(chance.uniform(0.5, 90), 1)
        events = [event(CustomerRegistered, customer_id)]
        end = chance.choice(
            ["pending", "invalid", "taken", "failed", "sent", "sent", "sent", "undeliverable", "bounced"]
        )
        if end == "invalid":
            events.append(event(CustomerValidationFailed, customer_id))
            counts += Counter(["rejected", "email_invalid"])
        elif end != "pending":
            events.append(event(CustomerValidated, customer_id))
            counts += Counter(["validated"])
        if end == "taken":
            events.append(event(CustomerAccountCreationFailed, customer_id))
            counts += Counter(["rejected", "EMAIL_TAKEN"])
        elif end == "failed":
            events.append(event(CustomerAccountCreationFailed, customer_id, reason="DOWNSTREAM_FAILED"))
            counts += Counter(["DOWNSTREAM_FAILED"])
        elif end in {"sent", "undeliverable", "bounced"}:
            events.append(event(CustomerAccountCreated, customer_id))
            counts += Counter(["accountCreated", "onboarded"])
        if end in {"sent", "bounced"}:
            events.append(event(WelcomeEmailSent, customer_id, seconds=seconds))
            counts += Counter(["emailSent"])
        if end == "bounced":
            events.append(event(WelcomeEmailFailed, customer_id, seconds=9000, reason="BOUNCED"))
            counts += Counter(["BOUNCED"])
        if end == "undeliverable":
            events.append(event(WelcomeEmailFailed, customer_id, seconds=seconds))
            counts += Counter(["UNDELIVERABLE"])
        yield events, counts, seconds if "onboarded" in counts else None


def test_events_that_come_twice_and_shuffled_are_counted_as_if_each_had_come_once(runtime: Runtime) -> None:
    chance = random.Random(1815)  # noqa: S311 - repeatable, and no secret
    all_customers = list(customers(60, chance))
    counts = sum((counts for _, counts, _ in all_customers), Counter[str]())
    times = sorted(seconds for *_, seconds in all_customers if seconds is not None)
    events = [one for events, *_ in all_customers for one in events] * 2
    chance.shuffle(events)

    for start in range(0, len(events), 10):
        assert runtime.invoke(FUNCTION, a_batch(*events[start : start + 10])) == NONE_FAILED

    total = told(runtime)["total"]
    stages = ("registered", "validated", "accountCreated", "emailSent", "onboarded", "rejected", "suspected")
    assert {stage: total[stage] for stage in stages} == {stage: counts[stage] for stage in stages}
    assert total["rejectionReasons"] | total["failureReasons"] == {
        reason: count for reason, count in counts.items() if reason not in stages
    }
    assert total["timeToOnboard"] == {
        "median": times[math.ceil(0.5 * len(times)) - 1],
        "p95": times[math.ceil(0.95 * len(times)) - 1],
    }


def test_whoever_is_overtaken_counts_what_is_known_by_then(
    runtime: Runtime, functions: Functions, analytics_table: Table
) -> None:
    runtime.invoke(FUNCTION, a_batch(event(CustomerRegistered)))

    def overtake() -> None:
        runtime.invoke(FUNCTION, a_batch(event(CustomerValidated)))

    with during(functions[FUNCTION].dynamodb, "TransactWriteItems", overtake):
        assert runtime.invoke(FUNCTION, a_batch(event(CustomerAccountCreated))) == NONE_FAILED

    assert told(runtime)["total"] == NOTHING | {"registered": 1, "validated": 1, "accountCreated": 1}


def test_facts_expire_and_hold_nothing_personal(runtime: Runtime, analytics_table: Table) -> None:
    runtime.invoke(FUNCTION, a_batch(event(CustomerRegistered), event(CustomerAccountCreated)))

    facts = analytics_table.items["CUSTOMER#ada FACTS"]

    assert float(facts["expiresAt"]["N"]) > datetime.now(UTC).timestamp() + timedelta(days=89).total_seconds()
    assert [it for it in ("Ada", "Lovelace", "@") if it in str(analytics_table.items)] == []


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ({"from": "2026-11-24", "to": "2026-11-23"}, [("to", "period_invalid")]),
        ({"from": "2026-01-01", "to": "2026-11-23"}, [("to", "period_invalid")]),
        ({"from": "20261123"}, [("from", "date_invalid")]),
        ({"from": "2026-W48-1"}, [("from", "date_invalid")]),
        ({"to": "2026-02-31"}, [("to", "date_invalid")]),
        ({"to": ""}, [("to", "date_invalid")]),
    ],
)
def test_a_period_that_is_none_is_refused(
    query: dict[str, str], errors: list[tuple[str, str]], runtime: Runtime
) -> None:
    response = runtime.invoke("get_analytics", sample("get_analytics/period") | {"queryStringParameters": query})

    assert response["statusCode"] == 400
    assert [(error["field"], error["code"]) for error in json.loads(response["body"])["errors"]] == errors


def test_a_period_is_the_seven_days_up_to_today_where_nothing_is_said(runtime: Runtime) -> None:
    response = runtime.invoke("get_analytics", sample("get_analytics/last-seven-days"))

    answer, today = json.loads(response["body"]), datetime.now(UTC).date()
    assert date.fromisoformat(answer["to"]) in {today, today - timedelta(days=1)}  # it may be midnight meanwhile
    assert [day["date"] for day in answer["days"]] == [
        str(date.fromisoformat(answer["to"]) - timedelta(days=number)) for number in range(6, -1, -1)
    ]


def test_metrics_tell_what_is_new(runtime: Runtime) -> None:
    events = [
        event(CustomerRegistered),
        event(WelcomeEmailSent, seconds=2),
        event(CustomerFraudSuspected),
        event(CustomerAccountCreationFailed),
    ]
    runtime.invoke(FUNCTION, a_batch(*events, *events))

    assert runtime.metrics == {
        "CustomerRegistered": 1,
        "CustomerOnboarded": 1,
        "TimeToOnboard": 2,
        "CustomerSuspected": 1,
        "CustomerRejected": 1,
        "EventNotCounted": 0,
    }


def test_the_dashboard_asks_for_the_metrics_of_the_business_by_the_dimensions_that_they_have(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.wiring.test_alarms import OWN, shown  # noqa: PLC0415 - SAM's translator, which no other unit test needs

    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "onboarding")  # read whenever a metric stands by itself
    one, another, third = (f"customer-{number}" for number in range(3))
    runtime.invoke(
        FUNCTION,
        a_batch(
            event(CustomerRegistered, one),
            event(WelcomeEmailSent, one),
            event(CustomerFraudSuspected, one),
            event(CustomerValidationFailed, another),
            event(CustomerAccountCreationFailed, third, reason="DOWNSTREAM_FAILED"),
            event(WelcomeEmailFailed, third),
        ),
    )

    emitted = {(namespace, name, tuple(key for key, _ in keys)) for namespace, name, keys in runtime.emitted}
    asked = {(it.namespace, it.name, tuple(key for key, _ in it.dimensions)) for it in shown() if it.namespace == OWN}
    assert asked == emitted - {(OWN, "EventNotCounted", ("service",))}
