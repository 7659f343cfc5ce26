"""The function that detects fraud: the order of the events doesn't change who is suspected."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from onboarding.adapters import fraud
from onboarding.domain.customer import CustomerData
from onboarding.domain.events import CustomerFraudSuspected, CustomerRegistered, CustomerValidated
from onboarding.domain.fraud import RULES, Burst
from tests.customers import a_customer
from tests.invocations import OCCURRED_AT, a_batch, an_envelope, an_event, failures
from tests.unit.deployment import Functions
from tests.unit.faults import conflict, failing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "detect_fraud"
PHONE = "+442079460958"
ADDRESS = {"street": "12 St James's Square", "city": "London", "postalCode": "SW1Y 4JH", "country": "GB"}
Published = Callable[[], list[dict[str, Any]]]

pytestmark = pytest.mark.usefixtures("fraud_table")


def validated(customer_id: str = "ada", after: timedelta = timedelta(0), **customer: Any) -> dict[str, Any]:
    """An envelope with CustomerValidated, some time after the first."""
    data = a_customer(**customer)
    return an_envelope(an_event(CustomerValidated, customer_id, after.total_seconds(), customer_data=data))


def suspected(published: Published) -> dict[str, tuple[int, list[str]]]:
    """Who is suspected, with the score and the rules that were published last."""
    events = [CustomerFraudSuspected.model_validate(event["detail"]) for event in published()]
    return {event.customer_id: (event.score, [reason.rule for reason in event.reasons]) for event in events}


def in_order(events: list[dict[str, Any]]) -> dict[str, tuple[int, list[str]]]:
    """The same, from the rules and a list of what was seen, for events that come once and in order."""
    seen: dict[tuple[str, str], list[datetime]] = {}
    found = {}
    for event in events:
        detail = CustomerValidated.model_validate(event["detail"])
        at, reasons = detail.metadata.occurred_at, []
        for rule in RULES.values():
            finding = rule.find(CustomerData.model_validate(detail.customer_data))
            if isinstance(finding, Burst):
                times = seen.setdefault((rule.name, finding.value), [])
                times.append(at)
                if sum(at - finding.within < time for time in times) >= finding.limit:
                    reasons.append(rule)
            elif finding:
                reasons.append(rule)
        if (score := sum(rule.weight for rule in reasons)) >= 60:
            found[detail.customer_id] = (score, sorted(rule.name for rule in reasons))
    return found


def test_suspicion_says_why(runtime: Runtime, published: Published) -> None:
    assert runtime.invoke(FUNCTION, a_batch(validated("eve", email="ada@mailinator.com"))) == failures()

    (event,) = published()
    assert (event["detail-type"], event["source"]) == ("CustomerFraudSuspected", "custom.customerService")
    assert event["detail"] == {
        "customerId": "eve",
        "score": 60,
        "reasons": [
            {
                "rule": "disposable_email_domain",
                "weight": 60,
                "message": "The e-mail address is one of a provider of throw-away addresses",
            }
        ],
        "metadata": {
            "eventId": "eve:CustomerFraudSuspected:disposable_email_domain=60",
            "schemaVersion": "1.0",
            "correlationId": "request",
            "occurredAt": "2026-11-23T10:30:42.123000Z",
        },
    }


def test_simulated_customer_is_not_examined(runtime: Runtime, published: Published, fraud_table: Table) -> None:
    for number in range(3):
        simulated = validated(f"c{number}", email=f"success+{number}@simulator.amazonses.com", phone=PHONE)
        assert runtime.invoke(FUNCTION, a_batch(simulated)) == failures()

    assert (published(), fraud_table.items) == ([], {})


def test_third_with_a_phone_number_is_suspected(runtime: Runtime, published: Published) -> None:
    events = [
        validated(f"customer-{number}", timedelta(hours=hours), email=f"xk{number}@example.com", phone=PHONE)
        for number, hours in enumerate([0, 1, 1, 25])
    ]

    for number in (2, 0, 3, 1):
        runtime.invoke(FUNCTION, a_batch(events[number], events[number]))

    # Of one moment, the greater customerId is the later. The last one's window begins just after both.
    assert suspected(published) == {"customer-2": (60, ["mail_unlike_name", "phone_burst"])}


def test_window_is_open_at_its_start(runtime: Runtime, published: Published) -> None:
    day, moment = timedelta(days=1), timedelta(microseconds=1)
    for number, after in enumerate([timedelta(0), moment, day]):
        runtime.invoke(FUNCTION, a_batch(validated(f"c{number}", after, email=f"x{number}@example.com", phone=PHONE)))
    assert published() == []

    runtime.invoke(FUNCTION, a_batch(validated("c3", day + moment / 2, email="y@example.com", phone=PHONE)))

    assert suspected(published).keys() == {"c3"}


def test_suspicion_with_more_reasons_has_another_id(runtime: Runtime, published: Published) -> None:
    events = [validated(f"c{number}", timedelta(hours=number), phone=PHONE) for number in range(2)]
    eve = validated("eve", timedelta(hours=3), email="ada@mailinator.com", phone=PHONE)

    runtime.invoke(FUNCTION, a_batch(eve, eve, events[0], eve, events[1], *events, eve))

    ids = [event["detail"]["metadata"]["eventId"] for event in published()]
    assert ids == sorted(ids, key=len)  # the second id names one rule more
    assert (len(set(ids)), suspected(published)["eve"][0]) == (2, 100)


@pytest.mark.slow
def test_order_of_events_changes_no_suspicion(runtime: Runtime, published: Published) -> None:
    chance = random.Random(1815)  # noqa: S311 - repeatable, and no secret
    events = []
    for number in range(60):
        domain = chance.choice(["gmail.com"] * 6 + ["small.example"] * 5 + ["mailinator.com"])
        local = chance.choice(["ada.lovelace", "xk29q"])
        phone = f"+4420794609{chance.randrange(20):02}" if chance.random() < 0.3 else None
        address = ADDRESS | {"street": f"{chance.randrange(9)} Elm Street"} if chance.random() < 0.2 else None
        spacing = 60 if number < 45 else 1500
        after = timedelta(seconds=number * spacing + chance.randrange(spacing))
        events.append(validated(f"c{number:04}", after, email=f"{local}@{domain}", phone=phone, address=address))
    shuffled = events * 2
    chance.shuffle(shuffled)

    for start in range(0, len(shuffled), 10):
        assert runtime.invoke(FUNCTION, a_batch(*shuffled[start : start + 10])) == failures()

    found = {customer_id: (score, sorted(rules)) for customer_id, (score, rules) in suspected(published).items()}
    expected = in_order(events)
    assert {rule for _, rules in expected.values() for rule in rules} == RULES.keys()
    assert found == expected


def test_event_older_than_what_is_kept_is_ignored(
    runtime: Runtime, published: Published, fraud_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    days, late = timedelta(days=15), validated("late", timedelta(microseconds=1), email="ada@mailinator.com")
    monkeypatch.setattr(
        fraud, "datetime", SimpleNamespace(now=lambda _: OCCURRED_AT + days + timedelta(microseconds=1))
    )

    runtime.invoke(FUNCTION, a_batch(validated("expired", email="ada@mailinator.com"), late))

    assert suspected(published).keys() == {"late"}
    assert "expired" not in str(fraud_table.items)


def test_other_events_are_acknowledged(runtime: Runtime, published: Published, fraud_table: Table) -> None:
    registered = an_envelope(an_event(CustomerRegistered))

    assert runtime.invoke(FUNCTION, a_batch(registered)) == failures()
    assert fraud_table.items == {}


def test_kept_items_expire_and_are_not_personal(runtime: Runtime, fraud_table: Table) -> None:
    event = validated(email="ada@example.com", phone=PHONE, address=ADDRESS)

    runtime.invoke(FUNCTION, a_batch(event))

    kept = str(fraud_table.items)
    assert len(fraud_table.items) == 4
    assert [it for it in (PHONE, "ada@", "example.com", "Lovelace", "London", "james") if it in kept] == []
    expiries = {item["expiresAt"]["N"] for item in fraud_table.items.values()}
    assert expiries == {str(int((OCCURRED_AT + timedelta(days=15)).timestamp()))}


def test_second_delivery_at_once_is_no_fault(runtime: Runtime, functions: Functions, published: Published) -> None:
    event, dynamodb = a_batch(validated("eve", email="ada@mailinator.com")), functions[FUNCTION].dynamodb

    with failing(dynamodb, "TransactWriteItems", conflict(dynamodb)):
        assert runtime.invoke(FUNCTION, event) == failures()

    assert suspected(published).keys() == {"eve"}
    assert [line["level"] for line in runtime.log if line["level"] != "INFO"] == []


@pytest.mark.parametrize("operation", ["TransactWriteItems", "Query"])
def test_throttled_message_is_retried(
    operation: str, runtime: Runtime, functions: Functions, published: Published
) -> None:
    event = validated("eve", email="ada@mailinator.com")
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, operation)
    with failing(functions[FUNCTION].dynamodb, operation, throttled):
        assert runtime.invoke(FUNCTION, a_batch(event))["batchItemFailures"]
    assert published() == []

    assert runtime.invoke(FUNCTION, a_batch(event)) == failures()

    assert suspected(published).keys() == {"eve"}
