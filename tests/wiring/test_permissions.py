"""Each role allows what is needed and nothing more. The emulator doesn't enforce all permissions."""

import re
from collections.abc import Iterable
from contextlib import suppress
from unittest.mock import patch

import pytest

from onboarding.domain.errors import EmailNotConfirmed
from tests.in_process import aws, functions, template
from tests.invocations import sample
from tests.wiring import definition, report
from tests.wiring.permissions import (
    DELIVER_LOGS,
    GO_ON,
    SAMPLE_TRACES,
    TRACE,
    WATCH_ALARMS,
    Permission,
    granted,
    listed,
    needed_by_function,
    needed_by_state_machine,
    statements,
)


def roles() -> dict[str, template.Document]:
    """The roles by their ARN."""
    return {template.arn_of(name): it for name, it in template.resources("AWS::IAM::Role").items()}


def test_each_role_allows_what_its_function_calls() -> None:
    report.none_of(
        problem
        for function in functions.deployed().values()
        for problem in _differences(str(function), granted(function.role_arn), needed_by_function(function))
    )


def test_workflow_role_allows_what_its_tasks_call() -> None:
    report.none_of(
        problem
        for name, machine in template.resources("AWS::Serverless::StateMachine").items()
        for problem in _differences(definition.path(name), granted(machine["Role"]), needed_by_state_machine(name))
    )


def test_few_actions_are_on_all_resources() -> None:
    for role in roles():
        for statement in statements(role):
            assert statement["Effect"] == "Allow", role
            assert not {"NotAction", "NotResource"} & statement.keys(), role
        for permission in granted(role):
            assert "*" not in permission.action, role
            if permission.resource == "*":
                assert permission in DELIVER_LOGS | TRACE | SAMPLE_TRACES | {GO_ON, WATCH_ALARMS}, role


def test_no_system_on_aws_needs_no_sending() -> None:
    with patch.dict(template.CHOSEN, DownstreamArns=""):
        policy = template.resolve(template.written_resources("AWS::IAM::ManagedPolicy")["DownstreamPolicy"])

    actions = [action for statement in policy["PolicyDocument"]["Statement"] for action in listed(statement["Action"])]
    assert sorted(actions) == ["secretsmanager:GetSecretValue", "ssm:GetParameter"]


def test_mail_is_sent_by_our_sender_alone() -> None:
    conditions = [
        statement["Condition"]
        for role in roles()
        for statement in statements(role)
        if "ses:SendEmail" in statement["Action"]
    ]

    assert conditions == [{"StringEquals": {"ses:FromAddress": template.reference_to("SenderEmail")}}] * 3


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("register_customer", [("register_customer", "idempotency-key")]),
        ("create_account", [("create_account", "not-confirmed")]),
        ("get_onboarding", [("track_onboarding", "batch-with-malformed-message"), ("get_onboarding", "plain")]),
    ],
)
def test_function_reads_no_more_than_it_may(name: str, samples: list[tuple[str, str]]) -> None:
    (function,) = (it for it in functions.deployed().values() if it.package == name)
    (limited,) = (it for it in statements(function.role_arn) if "dynamodb:Attributes" in str(it.get("Condition")))
    with aws.stack(), aws.recorded() as calls:
        for package, case in samples:
            with suppress(EmailNotConfirmed):
                functions.invoke(package, sample(f"{package}/{case}"))

    (read,) = (
        it.parameters
        for it in calls
        if it.operation == "GetItem" and limited["Resource"].endswith(f"/{it.parameters['TableName']}")
    )
    names = read.get("ExpressionAttributeNames", {})
    attributes = {*read["Key"], *(names.get(it, it) for it in read["ProjectionExpression"].split(", "))}
    assert attributes <= set(limited["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"])
    assert limited["Condition"]["StringEqualsIfExists"] == {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}
    assert not attributes & {"customerData", "mail", "codes"}


def test_each_role_trusts_the_service_of_its_user() -> None:
    users = [
        *((it.role_arn, "lambda") for it in functions.deployed().values()),
        *((it["Role"], "states") for it in template.resources("AWS::Serverless::StateMachine").values()),
        (template.resolve(template.written()["Globals"]["Function"]["DeploymentPreference"]["Role"]), "codedeploy"),
    ]
    trusted = []
    for arn, role in roles().items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole"), arn
        assert statement["Principal"].keys() == {"Service"}, arn
        trusted.append((arn, statement["Principal"]["Service"].removesuffix(".amazonaws.com")))
        service = trusted[-1][1]
        if service != "lambda":  # which gives no condition
            assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": template.ACCOUNT}}, arn

    for user, wrong in (("no", set(trusted) - set(users)), ("a", set(users) - set(trusted))):
        report.none_of(f"template.yaml: {arn} has {user} user that is {service}" for arn, service in wrong)
    shared = {arn for arn, _ in users if [arn for arn, _ in users].count(arn) > 1}
    report.none_of(f"template.yaml: {arn} is the role of several functions" for arn in shared)
    deployments = template.resources("AWS::CodeDeploy::DeploymentGroup", by_sam=True).values()
    assert len(deployments) == len(functions.deployed())
    assert {(it["ServiceRoleArn"], "codedeploy") for it in deployments} <= set(users)


def test_iam_resources_are_ours_and_unnamed() -> None:
    # CAPABILITY_IAM suffices for those without a name.
    for kind, name in (("Role", "RoleName"), ("ManagedPolicy", "ManagedPolicyName"), ("Policy", "PolicyName")):
        made = template.resources(f"AWS::IAM::{kind}", by_sam=True)
        assert made.keys() == template.written_resources(f"AWS::IAM::{kind}").keys()
        assert not any(name in properties for properties in made.values())


def test_api_calls_each_function_on_its_route() -> None:
    routes, api = set(), f"arn:aws:execute-api:{template.REGION}:{template.ACCOUNT}"
    for function in functions.deployed().values():
        events = template.written_resources("AWS::Serverless::Function")[function.logical_id].get("Events", {})
        for event in (it["Properties"] for it in events.values() if it["Type"] == "Api"):
            path = re.sub("{[^}]+}", "*", event["Path"])  # a path's parameter may be anything
            routes.add((function.arn, f"{api}:{template.resolve(event['RestApiId'])}/*/{event['Method']}{path}"))
    permissions = template.resources("AWS::Lambda::Permission", by_sam=True).values()

    assert routes
    assert {(it["FunctionName"], it["SourceArn"]) for it in permissions} == routes
    for permission in permissions:
        assert (permission["Action"], permission["Principal"]) == ("lambda:InvokeFunction", "apigateway.amazonaws.com")


def _differences(who: str, granted: Iterable[Permission], needed: Iterable[Permission]) -> list[str]:
    given, used = set(granted), set(needed)
    return [
        *(f"template.yaml: the role of {who} lacks {' '.join(it)}" for it in used - given),
        *(f"template.yaml: the role of {who} allows the unused {' '.join(it)}" for it in given - used),
    ]
