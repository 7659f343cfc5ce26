"""examples/consumer, deployed beside the stack: it receives new events, and earlier ones by a replay."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cli import PROJECT
from cli.machine.deploy import EmulatorStack, deploy_beside
from cli.machine.polling import back_off
from tests.customers import a_customer
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings


def await_card(stack: EmulatorStack, consumer: Mapping[str, str], customer_id: str) -> dict[str, str]:
    table = stack.session.client("dynamodb")
    for _ in back_off(PATIENCE_SECONDS):
        found = table.get_item(TableName=consumer["CardsTableName"], Key={"customerId": {"S": customer_id}})
        if "Item" in found:
            return {name: value["S"] for name, value in found["Item"].items()}
    raise TimeoutError(f"{customer_id} has no card after {PATIENCE_SECONDS} s")


def test_example_hears_new_and_replayed_events(stack: EmulatorStack, onboardings: Onboardings) -> None:
    events = stack.session.client("events")
    # CloudFormation makes the archive on AWS; the emulator takes it by its API alone.
    archive = events.create_archive(
        ArchiveName="customer-events",
        EventSourceArn=stack.outputs["EventBusArn"],
        EventPattern=json.dumps({"source": ["custom.customerService"]}),
        RetentionDays=30,
    )["ArchiveArn"]
    earlier = onboardings.onboard(a_customer())
    template = PROJECT / "examples" / "consumer" / "template.yaml"
    consumer = deploy_beside(stack, "loyalty-cards", template, {"EventBusName": stack.outputs["EventBusName"]})

    later = onboardings.onboard(a_customer())

    card = await_card(stack, consumer, later.output["customerId"])
    assert card["accountId"] == later.output["accountId"]
    assert card["openedAt"] == dict(later.events)["CustomerAccountCreated"]["metadata"]["occurredAt"]

    rules = events.list_rules(EventBusName=stack.outputs["EventBusName"])["Rules"]
    now = datetime.now(UTC)
    events.start_replay(
        ReplayName="cards-for-earlier-customers",
        EventSourceArn=archive,
        EventStartTime=now - timedelta(days=30),
        EventEndTime=now + timedelta(minutes=1),
        Destination={
            "Arn": stack.outputs["EventBusArn"],
            "FilterArns": [rule["Arn"] for rule in rules if "NewAccountsRule" in rule["Name"]],
        },
    )

    assert await_card(stack, consumer, earlier.output["customerId"])["accountId"] == earlier.output["accountId"]
