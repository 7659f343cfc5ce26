"""Each role allows what is needed and nothing more. The emulator enforces none of what services do for the stack."""

from __future__ import annotations

import re
from unittest.mock import patch

import pytest

from onboarding.adapters import downstream
from tests.wiring import functions, systems, template
from tests.wiring.functions import Function
from tests.wiring.permissions import (
    DELIVER_LOGS,
    SAMPLE_TRACES,
    TRACE,
    Permission,
    called,
    granted,
    needed_by_function,
    needed_by_state_machine,
    statements,
)

FUNCTIONS = list(functions.deployed().values())
API_ARN = f"arn:aws:execute-api:{template.REGION}:{template.ACCOUNT}"
STATE_MACHINES = template.resources("AWS::StepFunctions::StateMachine")


@pytest.mark.parametrize("function", FUNCTIONS, ids=str)
def test_a_function_may_do_what_it_does_and_nothing_more(function: Function) -> None:
    assert sorted(granted(function.role_arn)) == sorted(needed_by_function(function))


def test_a_system_of_each_kind_is_called() -> None:
    assert {it["kind"] for it in systems.SETTINGS.values()} == downstream.kinds()


def test_the_functions_samples_lead_to_calls_of_aws() -> None:
    actions = {permission.action for function in FUNCTIONS for permission in called(function)}

    assert actions >= {"sqs:SendMessage", "states:StartExecution", "dynamodb:PutItem", "ses:SendEmail"}
    assert actions >= {"ssm:GetParameter", "secretsmanager:GetSecretValue", "dynamodb:Query", "events:PutEvents"}


@pytest.mark.parametrize("logical_id", STATE_MACHINES)
def test_a_state_machine_may_do_what_its_tasks_do_and_nothing_more(logical_id: str) -> None:
    properties = STATE_MACHINES[logical_id]

    assert sorted(granted(properties["RoleArn"])) == sorted(needed_by_state_machine(properties))


def test_only_actions_that_take_no_resource_are_allowed_on_all() -> None:
    roles = map(template.arn_of, template.resources("AWS::IAM::Role"))
    permissions: set[Permission] = set().union(*map(granted, roles))

    assert {it for it in permissions if "*" in it.action} == set()
    assert {it for it in permissions if it.resource == "*"} <= DELIVER_LOGS | TRACE | SAMPLE_TRACES


def test_without_downstream_systems_on_aws_no_function_may_send_to_any() -> None:
    with patch.dict(template.CHOSEN, {"DownstreamArns": ""}):
        resources = template.resolve(template.transformed()["Resources"])
    allowed = {
        (name, resource)
        for name, it in resources.items()
        if it["Type"] in {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}
        for policy in it["Properties"].get("Policies", [it["Properties"]])
        for statement in policy["PolicyDocument"]["Statement"]
        if "sqs:SendMessage" in statement["Action"]
        for resource in [statement["Resource"]]
    }

    assert allowed == {("RegisterCustomerRole", template.arn_of("RegistrationQueue"))}


def test_no_statement_allows_by_exclusion_or_denies() -> None:
    for role in template.resources("AWS::IAM::Role"):
        for statement in statements(template.arn_of(role)):
            assert statement["Effect"] == "Allow"
            assert not {"NotAction", "NotResource"} & statement.keys()


def test_mail_goes_out_from_the_stack_s_sender_alone() -> None:
    senders = [
        (statement["Condition"], function.environment["SENDER_EMAIL"])
        for function in FUNCTIONS
        for statement in statements(function.role_arn)
        if "ses:SendEmail" in statement["Action"]
    ]

    assert senders
    for condition, sender in senders:
        assert condition == {"StringEquals": {"ses:FromAddress": sender}}


def test_each_role_is_written_in_the_template_and_belongs_to_one_resource() -> None:
    deployments = template.resources("AWS::CodeDeploy::DeploymentGroup").values()
    used = [function.role_arn for function in FUNCTIONS] + [it["RoleArn"] for it in STATE_MACHINES.values()]
    used += {it["ServiceRoleArn"] for it in deployments}

    assert sorted(used) == sorted(map(template.arn_of, template.written_resources("AWS::IAM::Role")))
    assert template.resources("AWS::IAM::Role").keys() == template.written_resources("AWS::IAM::Role").keys()
    assert not template.resources("AWS::IAM::Policy")


@pytest.mark.parametrize(
    ("resource_type", "role_property", "service"),
    [
        ("AWS::Lambda::Function", "Role", "lambda.amazonaws.com"),
        ("AWS::StepFunctions::StateMachine", "RoleArn", "states.amazonaws.com"),
        ("AWS::CodeDeploy::DeploymentGroup", "ServiceRoleArn", "codedeploy.amazonaws.com"),
    ],
)
def test_a_role_trusts_the_service_that_takes_it_on(resource_type: str, role_property: str, service: str) -> None:
    roles = {template.arn_of(name): role for name, role in template.resources("AWS::IAM::Role").items()}
    resources = template.resources(resource_type).values()

    assert resources
    for resource in resources:
        (statement,) = roles[resource[role_property]]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] == {"Service": service}
        assert statement["Action"] == "sts:AssumeRole"


def test_no_iam_resource_has_a_name_so_that_capability_iam_suffices() -> None:
    for resource_type, name in (("Role", "RoleName"), ("ManagedPolicy", "ManagedPolicyName")):
        for properties in template.resources(f"AWS::IAM::{resource_type}").values():
            assert name not in properties


def test_the_api_may_call_each_function_on_its_own_route_alone() -> None:
    routes = {
        (
            function.arn,
            # Whatever a path's parameter is, it is that route's.
            f"{API_ARN}:{event['RestApiId']['Ref']}/*/{event['Method']}{re.sub('{[^}]+}', '*', event['Path'])}",
        )
        for function in FUNCTIONS
        for event in _events(function, "Api")
    }
    permissions = {
        (permission["FunctionName"], permission["SourceArn"])
        for permission in template.resources("AWS::Lambda::Permission").values()
        if (permission["Action"], permission["Principal"]) == ("lambda:InvokeFunction", "apigateway.amazonaws.com")
    }

    assert routes
    assert permissions == routes
    assert len(template.resources("AWS::Lambda::Permission")) == len(routes)


def _events(function: Function, kind: str) -> list[template.Document]:
    written = template.written_resources("AWS::Serverless::Function")[function.logical_id]
    return [event["Properties"] for event in written.get("Events", {}).values() if event["Type"] == kind]
