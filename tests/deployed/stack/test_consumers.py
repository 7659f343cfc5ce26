"""The consumers of the deployed stack: a thousand events that come twice and shuffled, and one that none can read."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cli.machine.polling import back_off
from cli.report.source import fetch
from onboarding.adapters import timelines
from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerRegistered,
    CustomerValidated,
    CustomerValidationFailed,
    Event,
    WelcomeEmailSent,
)
from onboarding.domain.status import onboarding_from
from tests.customers import a_customer
from tests.deployed.onboardings import CONSUMERS, PATIENCE_SECONDS, Onboardings
from tests.invocations import an_envelope
from tests.unit.test_detect_fraud import in_order

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import EnvironmentTypeDef

CUSTOMERS = 250
DAY = datetime(2020, 1, 15, 6, tzinfo=UTC)  # on which nobody else is registered


def four_events(number: int, chance: random.Random) -> list[Event]:
    """What is published of one customer: four events, for one in ten of them two that are other ones."""
    customer_id, at = str(uuid4()), DAY + timedelta(seconds=number * 100)
    domain = "mailinator.com" if chance.random() < 0.05 else "gmail.com"
    local = chance.choice(["ada.lovelace", "xk29q"])
    phone = f"+4420794609{chance.randrange(30):02}" if chance.random() < 0.4 else None
    customer = a_customer(email=f"{local}@{domain}", phone=phone)

    def event(kind: type[Event], seconds: float, **fields: Any) -> Event:
        occurred_at = at + timedelta(seconds=seconds)
        return kind.of(customer_id, correlation_id="request", occurred_at=occurred_at, **fields)

    registered = event(CustomerRegistered, 1, registered_at=at, customer_data=customer)
    if chance.random() < 0.1:
        error = {"field": "email", "code": "email_invalid", "message": "Must be well-formed"}
        return [
            registered,
            event(CustomerValidationFailed, 2, status="INVALID", errors=[error], customer_data=customer),
        ]
    sent_after = round(chance.uniform(4, 60), 1)
    return [
        registered,
        event(CustomerValidated, 2, status="VALID", customer_data=customer),
        event(CustomerAccountCreated, 3, account_id=f"account-of-{customer_id}", email="a@example.com", name="Ada"),
        event(WelcomeEmailSent, sent_after, account_id=f"account-of-{customer_id}", message_id="message"),
    ]


def batches(events: list[Event], size: int = 10) -> Iterator[list[Event]]:
    for start in range(0, len(events), size):
        yield events[start : start + size]


def put(onboardings: Onboardings, events: list[Event]) -> None:
    """Publish events, as many at a time as EventBridge takes."""
    client, bus = onboardings.stack.session.client("events"), onboardings.stack.outputs["EventBusName"]
    for batch in batches(events):
        envelopes = [an_envelope(event) for event in batch]
        answer = client.put_events(
            Entries=[
                {
                    "EventBusName": bus,
                    "Source": envelope["source"],
                    "DetailType": envelope["detail-type"],
                    "Detail": json.dumps(envelope["detail"]),
                }
                for envelope in envelopes
            ]
        )
        assert not answer["FailedEntryCount"]


def test_events_that_come_twice_and_shuffled_leave_what_they_would_have_left_in_order(
    onboardings: Onboardings,
) -> None:
    stack = onboardings.stack
    chance = random.Random(1815)  # noqa: S311 - repeatable, and no secret
    by_customer = [four_events(number, chance) for number in range(CUSTOMERS)]
    while sum(map(len, by_customer)) < 1000:
        by_customer.append(four_events(len(by_customer), chance))
    events = [event for theirs in by_customer for event in theirs]
    kinds = Counter(type(event).__name__ for event in events)
    shuffled = events * 2
    chance.shuffle(shuffled)

    put(onboardings, shuffled)
    onboardings.await_consumers()

    total = fetch(stack.session, stack.api_url, DAY.date(), DAY.date()).total
    validated = [an_envelope(event) for event in events if isinstance(event, CustomerValidated)]
    suspected = in_order(sorted(validated, key=lambda it: it["detail"]["metadata"]["occurredAt"]))
    assert (total.registered, total.validated) == (len(by_customer), kinds["CustomerValidated"])
    assert (total.account_created, total.email_sent) == (kinds["CustomerAccountCreated"], kinds["WelcomeEmailSent"])
    assert total.rejected == total.rejection_reasons["email_invalid"] == kinds["CustomerValidationFailed"]
    assert total.suspected == len(suspected) > 20
    table = onboardings.physical_id("TimelinesTable")
    dynamodb = stack.session.client("dynamodb")
    for theirs in by_customer:
        customer_id = theirs[0].customer_id
        kept = timelines.entries_of(customer_id, dynamodb=dynamodb, table_name=table)
        told = onboarding_from(customer_id, kept)
        assert told.status == ("ONBOARDED" if len(theirs) == 4 else "REJECTED")
        assert [step.occurred_at for step in told.timeline] == [event.metadata.occurred_at for event in theirs]
    for customer_id in (theirs[0].customer_id for theirs in by_customer):
        published = {
            detail["metadata"]["eventId"]
            for kind, detail in onboardings.events_of(customer_id)
            if kind == "CustomerFraudSuspected"
        }
        assert published == ({f"{customer_id}:CustomerFraudSuspected"} if customer_id in suspected else set())


def test_what_a_consumer_can_not_read_ends_in_its_own_dlq_and_holds_up_nobody(onboardings: Onboardings) -> None:
    sqs, poison = onboardings.stack.session.client("sqs"), f'{{"poison": "{uuid4()}"}}'
    for consumer in CONSUMERS:
        sqs.send_message(QueueUrl=onboardings.physical_id(f"{consumer}Queue"), MessageBody=poison)

    customer_id = onboardings.register(a_customer(email=f"eve.{uuid4().hex}@mailinator.com"))

    onboardings.await_status(customer_id, "ONBOARDED")
    for consumer in CONSUMERS:
        onboardings.await_left(consumer, 1)
    with onboardings.hurried(*CONSUMERS):
        for consumer in CONSUMERS:
            assert any(poison in onboardings.dead_letters(consumer) for _ in back_off(PATIENCE_SECONDS)), consumer
    assert poison not in onboardings.dead_letters("Registration")
    onboardings.await_consumers()
    assert "CustomerFraudSuspected" in [kind for kind, _ in onboardings.events_of(customer_id)]


def test_a_consumer_that_always_fails_delays_no_other_and_loses_nothing(onboardings: Onboardings) -> None:
    functions = onboardings.stack.session.client("lambda")
    broken = onboardings.physical_id("RecordAnalyticsFunction")
    environment = functions.get_function_configuration(FunctionName=broken)["Environment"]["Variables"]
    without_table: EnvironmentTypeDef = {"Variables": environment | {"ANALYTICS_TABLE": "there-is-none"}}
    sound = functions.get_alias(FunctionName=broken, Name="live")["FunctionVersion"]
    functions.update_function_configuration(FunctionName=broken, Environment=without_table)
    published = functions.publish_version(FunctionName=broken)["Version"]
    onboardings.await_consumers()
    functions.update_alias(FunctionName=broken, Name="live", FunctionVersion=published)
    try:
        with onboardings.hurried("RecordAnalytics"):
            customer_id = onboardings.register(a_customer())
            onboardings.await_status(customer_id, "ONBOARDED")
            theirs: set[str] = set()
            for _ in back_off(PATIENCE_SECONDS):
                dead = [json.loads(it) for it in onboardings.dead_letters("RecordAnalytics")]
                theirs |= {it["detail-type"] for it in dead if it.get("detail", {}).get("customerId") == customer_id}
                if len(theirs) == 4:
                    break
        assert theirs == {"CustomerRegistered", "CustomerValidated", "CustomerAccountCreated", "WelcomeEmailSent"}
    finally:
        functions.update_alias(FunctionName=broken, Name="live", FunctionVersion=sound)
