"""The analytics: exact even if events come twice, in any order or at once."""

import json
import math
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from onboarding.domain.analytics import Facts, analytics
from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerAccountCreationFailed,
    CustomerEmailConfirmed,
    CustomerFraudSuspected,
    CustomerRegistered,
    CustomerValidated,
    CustomerValidationFailed,
    Event,
    WelcomeEmailFailed,
    WelcomeEmailSent,
    WelcomeEmailUnconfirmed,
)
from tests.customers import a_customer
from tests.invocations import a_batch, an_envelope, an_event, failures, sample
from tests.unit.deployment import Functions
from tests.unit.faults import during
from tests.unit.runtime import Runtime
from tests.unit.table import Table
from tests.wiring.test_alarms import OWN, shown

FUNCTION = "record_analytics"
STAGES = ("registered", "validated", "accountCreated", "emailSent", "onboarded", "rejected", "suspected")
ONLY_IF_ASKED = ("emailConfirmed", "expired")
NOTHING: dict[str, Any] = dict.fromkeys((*STAGES, *ONLY_IF_ASKED), 0) | {"rejectionReasons": {}, "failureReasons": {}}
REASON = {"field": "email", "code": "email_invalid", "message": "Must be an address"}
Step = tuple[type[Event], dict[str, Any]]
VALID: Step = (CustomerValidated, {})
ACCOUNT: Step = (CustomerAccountCreated, {})
SENT: Step = (WelcomeEmailSent, {})
TAKEN = {"reason": "EMAIL_TAKEN"}
BOUNCED_LATER: Step = (WelcomeEmailFailed, {"reason": "BOUNCED", "after": 900})
# What may follow a registration: the events with their fields, and the stages and reasons counted for them.
COURSES: dict[str, tuple[list[Step], tuple[str, ...]]] = {
    "pending": ([], ()),
    "validated": ([VALID], ("validated",)),
    "invalid": ([(CustomerValidationFailed, {"errors": [REASON, REASON]})], ("rejected", "email_invalid")),
    "taken": ([(CustomerAccountCreationFailed, TAKEN)], ("rejected", "EMAIL_TAKEN")),
    "failed": ([(CustomerAccountCreationFailed, {"reason": "DOWNSTREAM_FAILED"})], ("DOWNSTREAM_FAILED",)),
    "sent": ([VALID, ACCOUNT, SENT], STAGES[1:5]),
    "undeliverable": ([ACCOUNT, (WelcomeEmailFailed, {})], ("accountCreated", "onboarded", "UNDELIVERABLE")),
    "unconfirmed": ([ACCOUNT, (WelcomeEmailUnconfirmed, {})], ("accountCreated", "onboarded", "UNKNOWN")),
    "unconfirmed, then bounced": ([(WelcomeEmailUnconfirmed, {}), BOUNCED_LATER], ("onboarded", "UNKNOWN", "BOUNCED")),
    "bounced": ([VALID, ACCOUNT, SENT, BOUNCED_LATER], (*STAGES[1:5], "BOUNCED")),
    "complained of too": ([BOUNCED_LATER, (WelcomeEmailFailed, {"reason": "COMPLAINED", "after": 999})], ("BOUNCED",)),
    "suspected": ([(CustomerFraudSuspected, {})], ("suspected",)),
}

pytestmark = pytest.mark.usefixtures("analytics_table")


def course(name: str, customer_id: str = "ada", seconds: float = 0) -> list[Event]:
    """The registration, and the events of one of the courses so many seconds later."""
    steps = [an_event(kind, customer_id, **({"after": seconds} | fields)) for kind, fields in COURSES[name][0]]
    return [an_event(CustomerRegistered, customer_id), *steps]


def record(runtime: Runtime, *recorded: Event) -> None:
    assert runtime.invoke(FUNCTION, a_batch(*map(an_envelope, recorded))) == failures()


def answer(runtime: Runtime, first: str = "2026-11-23", last: str = "2026-11-23") -> dict[str, Any]:
    query = {"queryStringParameters": {"from": first, "to": last}}
    return dict(json.loads(runtime.invoke("get_analytics", sample("get_analytics/period") | query)["body"]))


@pytest.mark.parametrize("name", COURSES)
def test_course_is_counted_in_any_order(name: str) -> None:
    counted = COURSES[name][1]

    for order in permutations(course(name, seconds=2.26)):
        facts = Facts(customer_id="ada")
        for event in (*order, *order):
            facts = facts.with_event(event)
        counters = facts.counts + Counter([facts.time_counter] if facts.time_counter else [])
        total = analytics({date(2026, 11, 23): counters}).total.model_dump(by_alias=True, exclude_none=True)

        assert {*total["rejectionReasons"], *total["failureReasons"]} == {*counted} - {*STAGES}
        assert {stage for stage in STAGES if total[stage]} == {"registered", *counted} & {*STAGES}
        assert total.get("timeToOnboard") == ({"median": 2.3, "p95": 2.3} if "onboarded" in counted else None)


def test_wait_for_first_confirmation_is_left_out() -> None:
    first, repeated = (an_event(CustomerEmailConfirmed, after=seconds) for seconds in (30, 60))

    for order in permutations([*course("sent", seconds=90), first, repeated]):
        facts = Facts(customer_id="ada")
        for event in order:
            facts = facts.with_event(event)

        assert (facts.counts["emailConfirmed"], facts.seconds_to_onboard) == (1, 60)


def test_early_events_count_once_registered(runtime: Runtime) -> None:
    registered, *others = course("bounced", seconds=2.26)

    record(runtime, *others)
    assert answer(runtime)["total"] == NOTHING
    record(runtime, registered, *others)

    counts = dict.fromkeys(STAGES[:5], 1) | {"failureReasons": {"BOUNCED": 1}}
    funnel = NOTHING | counts | {"timeToOnboard": {"median": 2.3, "p95": 2.3}}
    assert answer(runtime)["total"] == funnel
    assert answer(runtime)["days"] == [{"date": "2026-11-23"} | funnel]


def test_simulated_customer_counts_for_nothing(runtime: Runtime, analytics_table: Table) -> None:
    simulated = a_customer(email="Bounce+1@Simulator.AmazonSES.com")
    registered = an_event(CustomerRegistered, customer_data=simulated)

    for events in permutations([*course("sent")[1:], registered]):
        record(runtime, *events)
        analytics_table.forget()

    assert set(runtime.metrics) == {"EventNotCounted"}
    record(runtime, *course("sent")[1:], registered, *course("bounced")[1:])
    assert answer(runtime)["total"] == NOTHING


def test_day_of_registration_is_in_utc(runtime: Runtime) -> None:
    late = datetime.fromisoformat("2026-11-22T23:59:59.999-05:00")
    record(runtime, an_event(CustomerRegistered, registered_at=late), an_event(CustomerValidated, after=9))

    days = {day["date"]: day["validated"] for day in answer(runtime, "2026-11-22", "2026-11-24")["days"]}

    assert days == {"2026-11-22": 0, "2026-11-23": 1, "2026-11-24": 0}


@pytest.mark.slow
def test_shuffled_repeats_are_counted_once(runtime: Runtime) -> None:
    chance = random.Random(1815)  # noqa: S311 - repeatable, and no secret
    customers = [(chance.choice([*COURSES, "sent", "sent"]), round(chance.uniform(0.5, 90), 1)) for _ in range(60)]
    counts = Counter(counted for name, _ in customers for counted in ("registered", *COURSES[name][1]))
    times = sorted(seconds for name, seconds in customers if "onboarded" in COURSES[name][1])
    courses = [course(name, f"c{number}", seconds) for number, (name, seconds) in enumerate(customers)]
    arriving = [event for one in courses for event in one] * 2
    chance.shuffle(arriving)

    for start in range(0, len(arriving), 10):
        record(runtime, *arriving[start : start + 10])

    total = answer(runtime)["total"]
    assert {stage: total[stage] for stage in STAGES} == {stage: counts[stage] for stage in STAGES}
    assert total["rejectionReasons"] | total["failureReasons"] == {
        reason: count for reason, count in counts.items() if reason not in STAGES
    }
    assert total["timeToOnboard"] == {
        "median": times[math.ceil(0.5 * len(times)) - 1],
        "p95": times[math.ceil(0.95 * len(times)) - 1],
    }


def test_concurrent_updates_are_both_kept(runtime: Runtime, functions: Functions) -> None:
    record(runtime, an_event(CustomerRegistered))

    def update_first() -> None:
        record(runtime, an_event(CustomerValidated))

    with during(functions[FUNCTION].dynamodb, "TransactWriteItems", update_first):
        record(runtime, an_event(CustomerAccountCreated))
    update_first()  # again: it counts only if its facts were lost

    assert answer(runtime)["total"] == NOTHING | {"registered": 1, "validated": 1, "accountCreated": 1}


def test_facts_expire_and_hold_nothing_personal(runtime: Runtime, analytics_table: Table) -> None:
    record(runtime, an_event(CustomerRegistered), an_event(CustomerAccountCreated))

    facts = analytics_table.items["CUSTOMER#ada FACTS"]

    assert float(facts["expiresAt"]["N"]) > datetime.now(UTC).timestamp() + timedelta(days=89).total_seconds()
    assert [text for text in ("Ada", "Lovelace", "@") if text in str(analytics_table.items)] == []


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"from": "2026-11-24", "to": "2026-11-23"}, "to", "period_invalid"),
        ({"from": "2026-01-01", "to": "2026-11-23"}, "to", "period_invalid"),
        ({"from": "20261123"}, "from", "date_invalid"),
        ({"to": "2026-02-31"}, "to", "date_invalid"),
    ],
)
def test_invalid_period_is_refused(query: dict[str, str], field: str, code: str, runtime: Runtime) -> None:
    response = runtime.invoke("get_analytics", sample("get_analytics/period") | {"queryStringParameters": query})

    assert response["statusCode"] == 400
    assert [(error["field"], error["code"]) for error in json.loads(response["body"])["errors"]] == [(field, code)]


def test_first_week_of_all_is_a_period(runtime: Runtime) -> None:
    query = {"queryStringParameters": {"to": "0001-01-06"}}

    response = runtime.invoke("get_analytics", sample("get_analytics/period") | query)

    assert json.loads(response["body"])["from"] == "0001-01-01"


def test_default_period_is_the_last_seven_days(runtime: Runtime) -> None:
    response = runtime.invoke("get_analytics", sample("get_analytics/last-seven-days"))

    document, today = json.loads(response["body"]), datetime.now(UTC).date()
    last = date.fromisoformat(document["to"])
    assert last in {today, today - timedelta(days=1)}  # midnight may have passed
    assert [day["date"] for day in document["days"]] == [str(last - timedelta(days=days)) for days in range(6, -1, -1)]


def test_metrics_count_only_what_is_new(runtime: Runtime) -> None:
    for kind in (CustomerRegistered, WelcomeEmailSent, CustomerFraudSuspected, CustomerAccountCreationFailed):
        record(runtime, an_event(kind, after=2), an_event(kind, after=2))

    assert runtime.metrics == {
        "CustomerRegistered": 1,
        "CustomerOnboarded": 1,
        "TimeToOnboard": 2,
        "CustomerSuspected": 1,
        "CustomerRejected": 1,
        "EventNotCounted": 0,
    }


@pytest.mark.parametrize("order", [*permutations(range(3))])
@pytest.mark.parametrize(("kind", "reason"), [(WelcomeEmailSent, {}), (CustomerAccountCreationFailed, TAKEN)])
def test_answer_is_in_time_from_the_confirmation(
    kind: type[Event], reason: dict[str, str], order: tuple[int, ...], runtime: Runtime
) -> None:
    for customer, seconds in (("ada", 900), ("eve", 901)):
        asked, confirmed = an_event(CustomerRegistered, customer), an_event(CustomerEmailConfirmed, customer, after=600)
        events = asked, confirmed, an_event(kind, customer, after=600 + seconds, **reason)
        for number in order:
            record(runtime, events[number], events[number])

    assert (runtime.metrics["CustomerConfirmed"], runtime.metrics["CustomerAnsweredInTime"]) == (2, 1)


def test_dashboard_shows_the_emitted_metrics(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "onboarding")  # a metric of its own reads it each time
    for name in ("sent", "suspected", "invalid", "failed", "undeliverable"):
        record(runtime, *course(name, name))
    record(runtime, an_event(CustomerEmailConfirmed, "sent"))

    for_business = runtime.emitted - {(OWN, "EventNotCounted", ("service",))}
    asked = {
        (metric.namespace, metric.name, tuple(key for key, _ in metric.dimensions))
        for metric in shown()
        if metric.namespace == OWN
    }
    assert not (unshown := for_business - asked), f"template.yaml: show {unshown} on the dashboard"
    assert not (silent := asked - for_business), f"template.yaml: nothing emits {silent}, which the dashboard shows"
