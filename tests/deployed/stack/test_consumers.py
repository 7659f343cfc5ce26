"""The consumers of the deployed stack: hundreds of events, repeated and shuffled, and an unreadable one."""

import json
import random
from collections import Counter
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
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.invocations import an_envelope
from tests.unit.test_detect_fraud import in_order

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_lambda.type_defs import EnvironmentTypeDef

CUSTOMERS = 50
# Nobody else is registered on it, and fraud detection still keeps its customers.
DAY = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0) - timedelta(days=7)


def four_events(number: int, chance: random.Random) -> list[Event]:
    """The events about one customer: four, or the two of a rejection for one customer in ten."""
    customer_id, at = str(uuid4()), DAY + timedelta(seconds=number * 100)
    domain = "mailinator.com" if chance.random() < 0.2 else "gmail.com"
    local = chance.choice(["ada.lovelace", "xk29q"])
    phone = f"+4420794609{chance.randrange(30):02}" if chance.random() < 0.4 else None
    customer = a_customer(email=f"{local}@{domain}", phone=phone)

    def event(kind: type[Event], seconds: float, **fields: Any) -> Event:
        occurred_at = at + timedelta(seconds=seconds)
        return kind.of(customer_id, correlation_id="request", occurred_at=occurred_at, **fields)

    registered = event(CustomerRegistered, 1, registered_at=at, customer_data=customer)
    if chance.random() < 0.1:
        error = {"field": "email", "code": "email_invalid", "message": "Must be well-formed"}
        failed = event(CustomerValidationFailed, 2, status="INVALID", errors=[error], customer_data=customer)
        return [registered, failed]
    sent_after = round(chance.uniform(4, 60), 1)
    return [
        registered,
        event(CustomerValidated, 2, status="VALID", customer_data=customer),
        event(CustomerAccountCreated, 3, account_id=f"account-of-{customer_id}", email="a@example.com", name="Ada"),
        event(WelcomeEmailSent, sent_after, account_id=f"account-of-{customer_id}", message_id="message"),
    ]


def put(onboardings: Onboardings, events: list[Event]) -> None:
    client, bus = onboardings.stack.session.client("events"), onboardings.stack.outputs["EventBusName"]
    for start in range(0, len(events), 10):  # EventBridge takes ten at a time
        envelopes = [an_envelope(event) for event in events[start : start + 10]]
        entries: list[PutEventsRequestEntryTypeDef] = [
            {
                "EventBusName": bus,
                "Source": it["source"],
                "DetailType": it["detail-type"],
                "Detail": json.dumps(it["detail"]),
            }
            for it in envelopes
        ]
        assert not client.put_events(Entries=entries)["FailedEntryCount"]


def test_repeated_and_shuffled_events_change_nothing(onboardings: Onboardings) -> None:
    stack = onboardings.stack
    chance = random.Random(1815)  # noqa: S311 - repeatable, and no secret
    by_customer = [four_events(number, chance) for number in range(CUSTOMERS)]
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
    assert total.onboarded == kinds["WelcomeEmailSent"]
    assert total.time_to_onboard
    assert 4 <= total.time_to_onboard.median <= total.time_to_onboard.p95 <= 60
    assert total.rejected == total.rejection_reasons["email_invalid"] == kinds["CustomerValidationFailed"]
    assert total.suspected == len(suspected) > 5
    table, dynamodb = onboardings.physical_id("TimelinesTable"), stack.session.client("dynamodb")
    for theirs in by_customer:
        customer_id = theirs[0].customer_id
        kept = timelines.entries_of(customer_id, dynamodb=dynamodb, table_name=table)
        onboarding = onboarding_from(customer_id, kept)
        assert onboarding.status == ("ONBOARDED" if len(theirs) == 4 else "REJECTED")
        assert [step.occurred_at for step in onboarding.timeline] == [event.metadata.occurred_at for event in theirs]
        published = dict(onboardings.events_of(customer_id)).get("CustomerFraudSuspected")
        assert (published is not None) == (customer_id in suspected)
        assert published is None or len(published["reasons"]) == published["metadata"]["eventId"].count("=")


def test_unreadable_message_delays_no_other(onboardings: Onboardings) -> None:
    sqs = onboardings.stack.session.client("sqs")
    poisons = {name: f'{{"poison": "{uuid4()}"}}' for name in ("Registration", *onboardings.consumers)}
    for name, poison in poisons.items():
        sqs.send_message(QueueUrl=onboardings.physical_id(f"{name}Queue"), MessageBody=poison)

    customer_id = onboardings.register(a_customer(email=f"eve.{uuid4().hex}@mailinator.com"))

    onboardings.await_status(customer_id, "ONBOARDED")
    for name in poisons:
        onboardings.await_left(name, 1)
    with onboardings.hurried(*poisons):
        for name, poison in poisons.items():
            assert any(poison in onboardings.dead_letters(name) for _ in back_off(PATIENCE_SECONDS)), name
    onboardings.await_consumers()
    assert "CustomerFraudSuspected" in [kind for kind, _ in onboardings.events_of(customer_id)]


def test_failing_consumer_delays_no_other(onboardings: Onboardings) -> None:
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
