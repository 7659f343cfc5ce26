"""What is changed in the built template for the emulator."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from cli.machine.patch import CONCURRENT_BATCHES, UNSUPPORTED, VISIBILITY_SECONDS, Change, Template, patch

BUILT = Path("/built")


def a_template(**resources: dict[str, Any]) -> Template:
    """A built template with these resources: {logical id: {"Type": …, "Properties": …}}."""
    return {"Resources": resources, "Outputs": {}}


def a_function(**properties: Any) -> dict[str, Any]:
    built = {"Runtime": {"Ref": "PythonRuntime"}, "CodeUri": "Functions-Shared"}
    return {"Type": "AWS::Serverless::Function", "Properties": built | properties}


def a_role(*statements: dict[str, Any]) -> dict[str, Any]:
    policy = {"PolicyName": "p", "PolicyDocument": {"Statement": list(statements)}}
    return {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}}


def an_api(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::Serverless::Api", "Properties": {"StageName": "v1"} | properties}


def a_queue_policy(*statements: Any) -> Any:
    return {"Type": "AWS::SQS::QueuePolicy", "Properties": {"PolicyDocument": {"Statement": list(statements)}}}


def the_only(changes: list[Change]) -> Change:
    (change,) = changes
    return change


def test_a_function_runs_the_runtime_client_from_the_built_package() -> None:
    template = a_template(Validate=a_function(Handler="app.handler"))

    patched, changes = patch(template, BUILT)

    properties = patched["Resources"]["Validate"]["Properties"]
    assert properties["Runtime"] == "provided.al2023"
    assert properties["CodeUri"] == "/built/Functions-Shared.zip"
    assert properties["Handler"] == "app.handler"
    assert the_only(changes).where == ("Validate",)


def test_a_message_that_no_worker_was_ready_for_comes_again_soon() -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 180, "RedrivePolicy": {}}}
    dead_letters = {"Type": "AWS::SQS::Queue", "Properties": {}}

    patched, changes = patch(a_template(Queue=queue, DeadLetters=dead_letters), BUILT)

    assert patched["Resources"]["Queue"]["Properties"]["VisibilityTimeout"] == VISIBILITY_SECONDS
    assert patched["Resources"]["DeadLetters"] == dead_letters
    assert the_only(changes).where == ("Queue",)


def test_a_queue_takes_few_of_the_workers() -> None:
    source = {"Type": "SQS", "Properties": {"Queue": "arn", "ScalingConfig": {"MaximumConcurrency": 5}}}
    template = a_template(Start=a_function(Events={"Registrations": source}))

    patched, changes = patch(template, BUILT)

    taken = patched["Resources"]["Start"]["Properties"]["Events"]["Registrations"]["Properties"]
    assert taken == {"Queue": "arn", "ScalingConfig": {"MaximumConcurrency": CONCURRENT_BATCHES}}
    assert {change.where for change in changes} == {("Start",)}
    assert len(changes) == 2


def test_a_definition_is_read_as_json() -> None:
    machine = {
        "Type": "AWS::Serverless::StateMachine",
        "Properties": {"DefinitionUri": "../../statemachine/onboarding.asl.yaml"},
    }

    patched, changes = patch(a_template(Machine=machine), BUILT)

    assert patched["Resources"]["Machine"]["Properties"]["DefinitionUri"] == "/built/onboarding.asl.json"
    assert the_only(changes).where == ("Machine",)


def test_gateway_responses_are_resources_that_the_api_is_deployed_with() -> None:
    responses = {
        "THROTTLED": {
            "StatusCode": 429,
            "ResponseParameters": {"Headers": {"Retry-After": "'1'"}},
            "ResponseTemplates": {"application/json": "{}"},
        }
    }

    patched, changes = patch(a_template(Api=an_api(GatewayResponses=responses)), BUILT)

    assert patched["Resources"]["ApiThrottledResponse"]["Properties"] == {
        "RestApiId": {"Ref": "Api"},
        "ResponseType": "THROTTLED",
        "StatusCode": 429,
        "ResponseParameters": {"gatewayresponse.header.Retry-After": "'1'"},
        "ResponseTemplates": {"application/json": "{}"},
    }
    assert patched["Resources"]["ApiRedeployment"]["DependsOn"] == ["Apiv1Stage", "ApiThrottledResponse"]
    assert the_only(changes).where == ("Api",)


@pytest.mark.parametrize("resource_type", sorted(UNSUPPORTED))
def test_what_the_emulator_rejects_is_left_out_and_so_are_the_outputs_that_name_it(resource_type: str) -> None:
    template = a_template(Gone={"Type": resource_type}, Queue={"Type": "AWS::SQS::Queue"})
    template["Outputs"] = {
        "ByRef": {"Value": {"Ref": "Gone"}},
        "ByAttribute": {"Value": {"Fn::GetAtt": ["Gone", "Arn"]}},
        "ByText": {"Value": {"Fn::Join": ["", [{"Fn::Sub": "x-${Gone.Arn}"}]]}},
        "OfAnother": {"Value": {"Fn::Sub": "${Queue}/Gone"}},
    }

    patched, changes = patch(template, BUILT)

    assert list(patched["Resources"]) == ["Queue"]
    assert list(patched["Outputs"]) == ["OfAnother"]
    assert the_only(changes).where == ("Gone",)


@pytest.mark.parametrize("action", ["ses:SendEmail", ["ses:SendEmail"]])
def test_mail_may_be_sent_from_any_identity(action: str | list[str]) -> None:
    write = {"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "table"}
    condition = {"StringEquals": {"ses:FromAddress": "a@example.com"}}
    send = {"Effect": "Allow", "Action": action, "Resource": ["identity"], "Condition": condition}

    patched, changes = patch(a_template(Mailer=a_role(write, send), Writer=a_role(write)), BUILT)

    statements = patched["Resources"]["Mailer"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert statements == [write, {"Effect": "Allow", "Action": action, "Resource": "*"}]
    assert the_only(changes).where == ("Mailer",)


def test_a_queue_takes_plain_http() -> None:
    insecure = {"Effect": "Deny", "Action": "sqs:*", "Condition": {"Bool": {"aws:SecureTransport": False}}}
    events = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "queue"}

    patched, changes = patch(
        a_template(Consumer=a_queue_policy(events, insecure), Plain=a_queue_policy(insecure)), BUILT
    )

    assert patched["Resources"] == {"Consumer": a_queue_policy(events)}
    assert the_only(changes).where == ("Consumer", "Plain")


def test_calls_are_shifted_at_once() -> None:
    template = a_template(Validate=a_function(DeploymentPreference={"Alarms": ["alarm"]}))
    template["Globals"] = {"Function": {"AutoPublishAlias": "live", "DeploymentPreference": {"Type": "AllAtOnce"}}}

    patched, changes = patch(template, BUILT)

    assert "DeploymentPreference" not in patched["Resources"]["Validate"]["Properties"]
    assert patched["Globals"] == {"Function": {"AutoPublishAlias": "live"}}
    assert ("Globals", "Validate") in {change.where for change in changes}


def test_a_template_with_nothing_to_change_stays_as_it_is() -> None:
    template = a_template(Queue={"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 180}})

    patched, changes = patch(template, BUILT)

    assert patched == template
    assert changes == []


def test_the_given_template_is_never_changed() -> None:
    template = a_template(
        Validate=a_function(),
        Api=an_api(GatewayResponses={"THROTTLED": {"StatusCode": 429}}),
        Mailer=a_role({"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "identity"}),
        Archive={"Type": "AWS::Events::Archive", "Properties": {}},
    )
    before = deepcopy(template)

    patch(template, BUILT)

    assert template == before
