"""examples/consumer, deployed beside the stack as a stranger would, and what it hears; and what happened before it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from cli import PROJECT
from cli.machine.deploy import EmulatorStack, deploy_beside
from cli.machine.polling import back_off
from tests.customers import a_customer
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings

NAME = "loyalty-cards"
ARCHIVE = "customer-events"


@pytest.fixture(scope="module")
def archive(stack: EmulatorStack) -> str:
    """The archive, which CloudFormation makes on AWS; the emulator takes it by its API alone."""
    events = stack.session.client("events")
    events.create_archive(
        ArchiveName=ARCHIVE,
        EventSourceArn=stack.outputs["EventBusArn"],
        EventPattern=json.dumps({"source": ["custom.customerService"]}),
        RetentionDays=30,
    )
    return str(events.describe_archive(ArchiveName=ARCHIVE)["ArchiveArn"])


@pytest.fixture(scope="module")
def earlier(archive: str, onboardings: Onboardings) -> str:
    """Who was onboarded before there was a consumer."""
    customer_id = onboardings.register(a_customer())
    onboardings.ended(customer_id)
    return customer_id


@pytest.fixture(scope="module")
def consumer(earlier: str, stack: EmulatorStack) -> Mapping[str, str]:
    """The example's outputs."""
    template = PROJECT / "examples" / "consumer" / "template.yaml"
    return deploy_beside(stack, NAME, template, {"EventBusName": stack.outputs["EventBusName"]})


def await_card(stack: EmulatorStack, consumer: Mapping[str, str], customer_id: str) -> dict[str, str]:
    table = stack.session.client("dynamodb")
    for _ in back_off(PATIENCE_SECONDS):
        found = table.get_item(TableName=consumer["CardsTableName"], Key={"customerId": {"S": customer_id}})
        if "Item" in found:
            return {name: value["S"] for name, value in found["Item"].items()}
    raise TimeoutError(f"{customer_id} has no card after {PATIENCE_SECONDS} s")


def test_a_consumer_that_is_added_hears_of_each_account_and_the_stack_is_untouched(
    stack: EmulatorStack, consumer: Mapping[str, str], onboardings: Onboardings
) -> None:
    customer_id = onboardings.register(a_customer())

    onboarding = onboardings.ended(customer_id)

    card = await_card(stack, consumer, customer_id)
    assert card["accountId"] == onboarding.output["accountId"]
    assert card["openedAt"] == dict(onboarding.events)["CustomerAccountCreated"]["metadata"]["occurredAt"]


def test_a_replay_feeds_it_what_happened_before_it_was_there(
    stack: EmulatorStack, archive: str, earlier: str, consumer: Mapping[str, str], onboardings: Onboardings
) -> None:
    events = stack.session.client("events")
    rules = events.list_rules(EventBusName=stack.outputs["EventBusName"])["Rules"]
    (rule,) = (rule["Arn"] for rule in rules if "NewAccountsRule" in rule["Name"])
    now = datetime.now(UTC)
    published = len(onboardings.events_of(earlier))

    events.start_replay(
        ReplayName="cards-for-earlier-customers",
        EventSourceArn=archive,
        EventStartTime=now - timedelta(days=30),
        EventEndTime=now + timedelta(minutes=1),
        Destination={"Arn": stack.outputs["EventBusArn"], "FilterArns": [rule]},
    )

    card = await_card(stack, consumer, earlier)
    assert card["accountId"] == onboardings.ended(earlier).output["accountId"]
    assert published
