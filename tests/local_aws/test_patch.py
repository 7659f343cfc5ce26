"""The built template's changes for the emulator."""

import json
from typing import Any

from cli import PROJECT
from cli.machine.patch import patch
from tests.in_process import template

LEFT_OUT = {
    *(f"AWS::CloudWatch::{kind}" for kind in ("Alarm", "CompositeAlarm", "Dashboard")),
    *(f"AWS::Logs::{kind}" for kind in ("Delivery", "DeliveryDestination", "DeliverySource")),
    *("AWS::CloudFormation::Stack", "AWS::Events::Archive"),
}
ADDED = {"AWS::ApiGateway::GatewayResponse", "AWS::ApiGateway::Deployment"}
CHANGED = {
    ("AWS::Serverless::Function", "Runtime"),
    ("AWS::Serverless::Function", "CodeUri"),
    ("AWS::Serverless::Function", "Events"),
    ("AWS::Serverless::Function", "DeploymentPreference"),
    ("AWS::Serverless::Function", "Environment"),
    ("AWS::Serverless::StateMachine", "AutoPublishAlias"),
    ("AWS::Serverless::StateMachine", "DeploymentPreference"),
    ("AWS::Serverless::StateMachine", "DefinitionUri"),
    ("AWS::Serverless::StateMachine", "Definition"),
    ("AWS::SQS::Queue", "VisibilityTimeout"),
    ("AWS::SQS::QueuePolicy", "PolicyDocument"),
    ("AWS::IAM::Role", "Policies"),
}
Resources = dict[str, dict[str, Any]]


def as_built() -> dict[str, Any]:
    """The project's template as `sam build` leaves it."""
    built: dict[str, Any] = json.loads(json.dumps(template.written()))
    for resource in built["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"] |= {"CodeUri": "Functions", "Runtime": built["Globals"]["Function"]["Runtime"]}
    return built


def differences(before: Resources, after: Resources) -> set[tuple[str, str, str]]:
    """The logical id, type and property of each difference in resources that are in both."""
    return {
        (name, before[name]["Type"], key)
        for name in before.keys() & after.keys()
        for key in before[name].get("Properties", {}).keys() | after[name].get("Properties", {}).keys()
        if before[name].get("Properties", {}).get(key) != after[name].get("Properties", {}).get(key)
    }


def test_only_the_listed_resources_change() -> None:
    before, after = as_built(), as_built()

    said = {name for change in patch(after, PROJECT) for name in change.where}

    found = differences(before["Resources"], after["Resources"])
    left_out = before["Resources"].keys() - after["Resources"].keys()
    added = after["Resources"].keys() - before["Resources"].keys()
    assert {(resource_type, key) for _, resource_type, key in found} == CHANGED
    assert {name for name, _, _ in found} | left_out | {"Api", "Globals"} == said
    assert {before["Resources"][name]["Type"] for name in left_out} - {"AWS::SQS::QueuePolicy"} == LEFT_OUT
    assert {after["Resources"][name]["Type"] for name in added} == ADDED
    assert before | {"Resources": {}, "Globals": {}} == after | {"Resources": {}, "Globals": {}}


def test_policies_change_only_where_they_must() -> None:
    before, after = as_built(), as_built()

    patch(after, PROJECT)

    def statements(resources: Resources) -> list[str]:
        """The statements of all roles and queue policies."""
        found = []
        for resource in resources.values():
            properties = resource.get("Properties", {})
            documents = [properties, *properties.get("Policies", [])]
            found += [it for document in documents for it in document.get("PolicyDocument", {}).get("Statement", [])]
        return [json.dumps(it, sort_keys=True) for it in found]

    gone = [json.loads(it) for it in statements(before["Resources"]) if it not in statements(after["Resources"])]
    new = [json.loads(it) for it in statements(after["Resources"]) if it not in statements(before["Resources"])]
    of_keys = [it for it in gone if "dynamodb:LeadingKeys" in str(it)]
    assert {("Condition" in it, it["Effect"], it["Action"]) for it in gone if it not in of_keys} == {
        (True, "Deny", "sqs:*"),
        (True, "Allow", "ses:SendEmail"),
    }
    for statement in of_keys:
        del statement["Condition"]["Null"], statement["Condition"]["ForAllValues:StringLike"]
    assert [it for it in of_keys if it not in new] == []
    assert [it for it in new if it not in of_keys] == [
        {"Effect": "Allow", "Resource": "*", "Action": "ses:SendEmail"}
    ] * 3
