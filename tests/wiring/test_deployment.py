"""What AWS would refuse and the emulator doesn't: rules for each kind of deployment, as SAM expands it."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.helpers import REGIONS  # type: ignore[import-untyped]
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER as SCHEMAS  # type: ignore[import-untyped]

from cli import PROJECT
from cli.operate import deployment
from tests.in_process import template
from tests.wiring import report
from tests.wiring.permissions import listed
from tests.wiring.test_resources import LASTING

LONGEST_STACK_NAME = 50
EVERY_OPTION = {
    "AlarmTopicArn": f"arn:aws:sns:{template.REGION}:{template.ACCOUNT}:pages",
    "TicketTopicArn": f"arn:aws:sns:{template.REGION}:{template.ACCOUNT}:tickets",
    **dict.fromkeys(("ApiKeyRequired", "CustomerManagedKey", "DeletionProtection"), "true"),
    "DeploymentAlarms": "false",
    "WebAclArn": f"arn:aws:wafv2:{template.REGION}:{template.ACCOUNT}:regional/webacl/api/1",
}
# AWS deletes them with the function or the state machine.
VERSIONS = {"AWS::Lambda::Version", "AWS::StepFunctions::StateMachineVersion"}
REGISTRY = {"AWS::EventSchemas::Registry", "AWS::EventSchemas::Schema"}


def environment(name: str) -> tuple[dict[str, str], str, str]:
    """An environment of samconfig.toml."""
    settings = deployment.settings(name)
    return deployment.overrides(settings), template.REGION, settings["stack_name"]


# The parameters, the region and the stack's name.
DEPLOYMENTS = {name: environment(name) for name in ("default", "dev", "prod")} | {
    "every option": (template.CHOSEN | EVERY_OPTION, template.REGION, "customer-onboarding"),
    "longest stack name": ({}, template.REGION, "s" * LONGEST_STACK_NAME),
    "region without schemas": ({}, "il-central-1", "customer-onboarding"),
}


@pytest.fixture(params=DEPLOYMENTS)
def resources(request: pytest.FixtureRequest) -> Iterator[template.Document]:
    """The created resources, by logical id; inside the test, references have this deployment's values."""
    parameters, region, stack_name = DEPLOYMENTS[request.param]
    parameters = {"SenderEmail": "welcome@example.com"} | parameters
    with template.given(parameters, region, stack_name):
        conditions = template.resolve(template.written()["Conditions"])
        made = template.transformed(frozenset(parameters.items()))["Resources"]
        yield {name: it for name, it in made.items() if conditions.get(it.get("Condition"), True)}


def deploy_job() -> dict[str, Any]:
    """The job of GitHub's workflow that deploys."""
    workflow = yaml.safe_load((PROJECT / ".github/workflows/deploy.yml").read_text(encoding="utf-8"))
    return dict(workflow["jobs"]["deploy"])


def of_type(resources: template.Document, kind: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of one type, by logical id."""
    return {name: template.resolve(it["Properties"]) for name, it in resources.items() if it["Type"] == f"AWS::{kind}"}


def test_each_queue_has_a_policy_of_its_own(resources: template.Document) -> None:
    """Each of its statements names that queue, and one refuses plain HTTP."""
    arns = {template.reference_to(name): template.arn_of(name) for name in of_type(resources, "SQS::Queue")}
    policies = of_type(resources, "SQS::QueuePolicy").values()
    refused = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*"}

    assert sorted(url for policy in policies for url in policy["Queues"]) == sorted(arns)
    for policy in policies:
        (url,), statements = policy["Queues"], policy["PolicyDocument"]["Statement"]
        assert {statement["Resource"] for statement in statements} == {arns[url]}
        assert refused | {"Resource": arns[url], "Condition": {"Bool": {"aws:SecureTransport": False}}} in statements


def test_nothing_kept_refers_to_what_is_deleted(resources: template.Document) -> None:
    """A retained archive keeps a rule on its bus, which then can't be deleted."""
    kept = {name for name, it in resources.items() if it.get("DeletionPolicy", "Delete") != "Delete"}
    kept -= {name for name in kept if resources[name]["Type"] in VERSIONS}

    assert kept == LASTING & resources.keys()
    for name, it in ((name, resources[name]) for name in kept):
        assert (it["DeletionPolicy"], it["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain"), name
        lost = {*template.references(it), *listed(it.get("DependsOn", []))} & resources.keys() - kept
        report.none_of(f"template.yaml: {name} is kept and refers to {other}, which is deleted" for other in lost)


def test_first_deployment_can_be_rolled_back() -> None:
    default = template.written()["Parameters"]["DeletionProtection"]["Default"]
    for name in ("default", "dev", "prod"):
        assert DEPLOYMENTS[name][0].get("DeletionProtection", default) == "false", f"samconfig.toml: {name}"


def test_names_made_of_the_stack_s_fit(resources: template.Document) -> None:
    for name, it in resources.items():
        rules = SCHEMAS.get_resource_schema(template.REGION, it["Type"]).schema["properties"]
        for key, value in it["Properties"].items():
            if "AWS::StackName" in str(value) and isinstance(made := template.resolve(value), str):
                assert len(made) <= rules[key].get("maxLength", len(made)), f"template.yaml: {name}: {key}"
                assert re.search(rules[key].get("pattern", ""), made), f"template.yaml: {name}: {key}"


def test_registry_is_made_where_it_can_be() -> None:
    everything = {it["Type"] for it in template.transformed()["Resources"].values()} | REGISTRY
    condition = template.written()["Resources"]["EventSchemas"]["Condition"]
    for region in REGIONS:
        available = set(SCHEMAS.get_resource_types(region))
        with template.given({}, region):
            made = template.resolve(template.written()["Conditions"][condition])
        if "AWS::SES::ConfigurationSet" in available:
            assert everything - (set() if made else REGISTRY) == everything & available, region


def test_deployment_may_shift_its_functions_alone(resources: template.Document) -> None:
    """CloudFormation cuts a long stack's name in the functions' names, so no pattern of names fits."""
    (policy,) = of_type(resources, "IAM::Role")["DeploymentRole"]["Policies"]
    shift, _ = policy["PolicyDocument"]["Statement"]
    ((tag, stack_name),) = shift["Condition"]["StringEquals"].items()

    assert shift["Resource"].endswith(":function:*")
    assert stack_name == template.reference_to("AWS::StackName")
    for name, function in of_type(resources, "Lambda::Function").items():
        assert {"Key": tag.removeprefix("aws:ResourceTag/"), "Value": stack_name} in function["Tags"], name


def test_parameter_takes_the_alarms_out(resources: template.Document) -> None:
    on = template.reference_to("DeploymentAlarms") == "true"
    at_once = template.reference_to("DeploymentType") == "AllAtOnce"
    (alias,) = of_type(resources, "StepFunctions::StateMachineAlias").values()

    for name, group in of_type(resources, "CodeDeploy::DeploymentGroup").items():
        assert group["AlarmConfiguration"].get("Enabled", False) is on, name
    preference = alias["DeploymentPreference"]
    assert preference.get("Alarms") == (["ExecutionsFailedAlarm"] if on else None)  # an empty list is refused
    assert preference["Type"] == ("ALL_AT_ONCE" if at_once else "CANARY")


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_failed_check_fails_the_job(name: str, tmp_path: Path) -> None:
    *_, step = deploy_job()["steps"]
    # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell
    options = {"bash": "-eo pipefail"}.get(step.get("shell"), "-e").split()
    command, summary = tmp_path / ".venv/bin/onboarding", tmp_path / "summary"
    command.parent.mkdir(parents=True)
    command.write_text("#!/bin/sh\necho what came of $*\necho why not >&2\nexit 1\n", encoding="utf-8")
    command.chmod(0o700)

    environment = {"PATH": os.defpath, "CONFIGURATION": name, "GITHUB_STEP_SUMMARY": str(summary)}
    done = subprocess.run(["bash", *options, "-c", step["run"]], cwd=tmp_path, env=environment, check=False)

    assert done.returncode == 1
    stack_name = deployment.settings(name)["stack_name"]
    assert summary.read_text(encoding="utf-8") == f"```\nwhat came of check --stack {stack_name}\nwhy not\n"


def test_deploy_workflow_waits_for_the_slowest() -> None:
    """The workflow's functions deploy first, then its definition, then the function that starts it."""
    job = deploy_job()
    (signed_in,) = (it["with"] for it in job["steps"] if "credentials@" in it.get("uses", ""))
    types = template.written()["Parameters"]["DeploymentType"]["AllowedValues"]
    slowest = max(int(re.findall(r"\d+", it)[-1]) * (10 if "Linear" in it else 1) for it in types if it != "AllAtOnce")
    definition = template.written_resources("AWS::Serverless::StateMachine")["CustomerOnboardingStateMachine"]
    minutes = 2 * slowest + definition["DeploymentPreference"]["Interval"] + 20

    assert minutes <= job["timeout-minutes"] <= signed_in["role-duration-seconds"] / 60
