"""Changes to the built template for the emulator. Each rule says what it changes and why; deploying prints both."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Template = dict[str, Any]
# Changes the template built into a folder, and yields the logical ids of the changed resources.
Rule = Callable[[Template, Path], Iterator[str]]

FUNCTION = "AWS::Serverless::Function"
# A batch takes 2 s on a busy machine, including the start of a worker.
VISIBILITY_SECONDS = 6
CONCURRENT_BATCHES = 2
CONFIRMATION_SECONDS = 24 * 60 * 60
# The emulator rejects a template that has a type it doesn't know, and names the type.
UNSUPPORTED = {
    "AWS::CloudFormation::Stack",  # the schema registry's, which has such types
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::CloudWatch::Dashboard",  # it refers to such alarms
    "AWS::Events::Archive",
    "AWS::Logs::Delivery",
    "AWS::Logs::DeliveryDestination",
    "AWS::Logs::DeliverySource",
}
RULES: list[tuple[str, str, Rule]] = []


@dataclass(frozen=True)
class Change:
    """A change, the reason for it, and the logical ids of the changed resources."""

    what: str
    why: str
    where: tuple[str, ...]


def patch(template: Template, built: Path) -> list[Change]:
    """Change the template built into a folder, for the emulator."""
    changes = [Change(what, why, tuple(rule(template, built))) for what, why, rule in RULES]
    return [change for change in changes if change.where]


def _rule(what: str, why: str) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        RULES.append((what, why, rule))
        return rule

    return add


@_rule(
    "runs as provided.al2023, where bootstrap starts AWS's runtime client",
    "names every Python error Runtime.HandlerError: no Catch would match",
)
def _run_the_runtime_client(template: Template, built: Path) -> Iterator[str]:
    for name, function in _of_type(template, FUNCTION):
        function["Runtime"] = "provided.al2023"
        function["CodeUri"] = str(built / f"{function['CodeUri']}.zip")
        yield name


@_rule("has its definition inline", "doesn't read YAML definition files")
def _inline_the_definition(template: Template, built: Path) -> Iterator[str]:
    for name, machine in _of_type(template, "AWS::Serverless::StateMachine"):
        definition = (built / machine.pop("DefinitionUri")).read_text(encoding="utf-8")
        machine["Definition"] = yaml.load(definition, yaml.CSafeLoader)
        yield name


@_rule(f"waits {CONFIRMATION_SECONDS} s for a confirmation", "evaluates no expression in TimeoutSeconds")
def _wait_for_a_fixed_time(template: Template, _: Path) -> Iterator[str]:
    for name, machine in _of_type(template, "AWS::Serverless::StateMachine"):
        waiting = [it for it in machine["Definition"]["States"].values() if isinstance(it.get("TimeoutSeconds"), str)]
        for state in waiting:
            state["TimeoutSeconds"] = CONFIRMATION_SECONDS
        if waiting:
            yield name


@_rule(
    "has its gateway responses as separate resources, and is deployed again",
    "ignores them in an API's definition",
)
def _restate_gateway_responses(template: Template, _: Path) -> Iterator[str]:
    for api, properties in _of_type(template, "AWS::Serverless::Api"):
        added = {}
        for kind, response in properties.get("GatewayResponses", {}).items():
            headers = response.get("ResponseParameters", {}).get("Headers", {})
            added[f"{api}{kind.title().replace('_', '')}Response"] = {
                "Type": "AWS::ApiGateway::GatewayResponse",
                "Properties": response
                | {
                    "RestApiId": {"Ref": api},
                    "ResponseType": kind,
                    "ResponseParameters": {f"gatewayresponse.header.{name}": headers[name] for name in headers},
                },
            }
        # An API answers as last deployed.
        stage = properties["StageName"]
        template["Resources"] |= added
        template["Resources"][f"{api}Redeployment"] = {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": [f"{api}{stage}Stage", *added],
            "Properties": {"RestApiId": {"Ref": api}, "StageName": stage},
        }
        yield api


@_rule("has no alias, and is started itself", "rejects templates with versions and aliases of state machines")
def _start_without_an_alias(template: Template, _: Path) -> Iterator[str]:
    for name, machine in _of_type(template, "AWS::Serverless::StateMachine"):
        machine.pop("DeploymentPreference", None)
        alias = {"Ref": f"{name}Alias{machine.pop('AutoPublishAlias', '')}"}
        yield name
        for user, function in _of_type(template, FUNCTION):
            variables = function.get("Environment", {}).get("Variables", {})
            for variable in [it for it, value in variables.items() if value == alias]:
                variables[variable] = {"Ref": name}
                yield user


@_rule("is left out", "rejects templates with this type of resource")
def _leave_out(template: Template, _: Path) -> Iterator[str]:
    for name in [name for name, it in template["Resources"].items() if it["Type"] in UNSUPPORTED]:
        del template["Resources"][name]
        yield name


@_rule("is left out", "rejects alarms on metric math")
def _leave_out_metric_math(template: Template, _: Path) -> Iterator[str]:
    for name, alarm in _of_type(template, "AWS::CloudWatch::Alarm"):
        if "Metrics" in alarm:
            del template["Resources"][name]
            yield name


@_rule(
    f"shows a message again after {VISIBILITY_SECONDS} s",
    "may have no worker ready on a small machine, and the message would wait for minutes",
)
def _deliver_again_soon(template: Template, _: Path) -> Iterator[str]:
    for name, queue in _of_type(template, "AWS::SQS::Queue"):
        if "RedrivePolicy" in queue:
            queue["VisibilityTimeout"] = VISIBILITY_SECONDS
            yield name


@_rule(
    f"takes {CONCURRENT_BATCHES} batches at a time",
    "shares a few processors: consumers would slow down the API and the workflow",
)
def _take_few_batches_at_a_time(template: Template, _: Path) -> Iterator[str]:
    for name, function in _of_type(template, FUNCTION):
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                event["Properties"]["ScalingConfig"] = {"MaximumConcurrency": CONCURRENT_BATCHES}
                yield name


@_rule("takes requests without TLS", "speaks plain HTTP, on this machine only")
def _take_plain_http(template: Template, _: Path) -> Iterator[str]:
    for name, policy in _of_type(template, "AWS::SQS::QueuePolicy"):
        statements = policy["PolicyDocument"]["Statement"]
        kept = [it for it in statements if "aws:SecureTransport" not in str(it.get("Condition"))]
        if kept != statements:
            policy["PolicyDocument"]["Statement"] = kept
            if not kept:
                del template["Resources"][name]
            yield name


@_rule("shifts traffic to new code at once", "has no CodeDeploy")
def _deploy_at_once(template: Template, _: Path) -> Iterator[str]:
    for name, function in [("Globals", template.get("Globals", {}).get("Function", {})), *_of_type(template, FUNCTION)]:
        if function.pop("DeploymentPreference", None):
            yield name


@_rule(
    "may send from any identity",
    "denies ses:SendEmail on an identity's ARN and the condition ses:FromAddress",
)
def _send_from_any_identity(template: Template, _: Path) -> Iterator[str]:
    for name, statement in _statements_of_roles(template):
        if statement["Action"] == "ses:SendEmail":
            statement["Resource"] = "*"
            del statement["Condition"]
            yield name


@_rule(
    "may use each item of the idempotency table",
    "doesn't know dynamodb:LeadingKeys, and denies each call where a condition needs it",
)
def _use_each_item(template: Template, _: Path) -> Iterator[str]:
    for name, statement in _statements_of_roles(template):
        condition = statement.get("Condition", {})
        known = {key: it for key, it in condition.items() if "dynamodb:LeadingKeys" not in it}
        if known != condition:
            statement["Condition"] = known
            yield name


def _statements_of_roles(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each statement of the policies in a role, with the role's logical id."""
    for name, role in _of_type(template, "AWS::IAM::Role"):
        for policy in role.get("Policies", []):
            yield from ((name, statement) for statement in policy["PolicyDocument"]["Statement"])


def _of_type(template: Template, resource_type: str) -> list[tuple[str, dict[str, Any]]]:
    """The logical id and the properties of each resource of this type."""
    resources = template["Resources"].items()
    return [(name, it.setdefault("Properties", {})) for name, it in resources if it["Type"] == resource_type]
