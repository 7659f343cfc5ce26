"""All that is changed in the built template for the emulator: one rule for each of its traits.

The project's own template knows nothing of it. A rule names what it does and the trait that makes
it necessary; both are printed when the stack is deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Template = dict[str, Any]

API = "AWS::Serverless::Api"
FUNCTION = "AWS::Serverless::Function"
STATE_MACHINE = "AWS::Serverless::StateMachine"
QUEUE = "AWS::SQS::Queue"
# More than a batch takes on a busy machine, the start of a worker included: 2 s.
VISIBILITY_SECONDS = 6
CONCURRENT_BATCHES = 2

# A template with any of these is rejected as a whole.
UNSUPPORTED = frozenset(
    {
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::Athena::NamedQuery",
        "AWS::Budgets::Budget",
        "AWS::CloudFormation::Stack",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::EventSchemas::Discoverer",
        "AWS::EventSchemas::Registry",
        "AWS::EventSchemas::Schema",
        "AWS::Events::ApiDestination",
        "AWS::Events::Archive",
        "AWS::Events::Connection",
        "AWS::Events::EventBusPolicy",
        "AWS::Logs::QueryDefinition",
        "AWS::SES::Template",
        "AWS::StepFunctions::StateMachineAlias",
        "AWS::StepFunctions::StateMachineVersion",
        "AWS::WAFv2::WebACLAssociation",
    }
)


@dataclass(frozen=True)
class Rule:
    """`apply` changes the template it is given and returns the logical ids it changed."""

    what: str
    why: str
    apply: Callable[[Template, Path], list[str]]


@dataclass(frozen=True)
class Change:
    """A rule that applied, and the logical ids of the resources that it changed."""

    what: str
    why: str
    where: tuple[str, ...]


def patch(template: Mapping[str, Any], built: Path) -> tuple[Template, list[Change]]:
    """The template for the emulator and what was changed in it; the given one stays as it is.

    `template` is what `sam build` wrote to the folder `built`: intrinsic functions in their long
    form, local paths relative to that folder.
    """
    patched: Template = deepcopy(dict(template))
    changes = []
    for rule in RULES:
        where = rule.apply(patched, built)
        if where:
            changes.append(Change(rule.what, rule.why, tuple(where)))
    return patched, changes


def _run_the_runtime_client(template: Template, built: Path) -> list[str]:
    functions = _of_type(template, FUNCTION)
    for properties in functions.values():
        properties["Runtime"] = "provided.al2023"
        properties["CodeUri"] = str(built / f"{properties['CodeUri']}.zip")
    return list(functions)


def _point_to_json(template: Template, built: Path) -> list[str]:
    machines = _of_type(template, STATE_MACHINE)
    for properties in machines.values():
        properties["DefinitionUri"] = str(built / f"{Path(properties['DefinitionUri']).stem}.json")
    return list(machines)


def _leave_out(template: Template, _: Path) -> list[str]:
    resources = template["Resources"]
    gone = [name for name, resource in resources.items() if resource["Type"] in UNSUPPORTED]
    for name in gone:
        del resources[name]
    outputs = template.get("Outputs", {})
    for name in [name for name, output in outputs.items() if _mentions(output, gone)]:
        del outputs[name]
    return gone


def _restate_gateway_responses(template: Template, _: Path) -> list[str]:
    apis = _of_type(template, API)
    restated = []
    for api, properties in apis.items():
        added = {
            f"{api}{kind.title().replace('_', '')}Response": {
                "Type": "AWS::ApiGateway::GatewayResponse",
                "Properties": {
                    "RestApiId": {"Ref": api},
                    "ResponseType": kind,
                    **_gateway_response(response),
                },
            }
            for kind, response in properties.get("GatewayResponses", {}).items()
        }
        if added:
            stage = properties["StageName"]
            template["Resources"] |= added
            # An API answers as it was when it was last deployed.
            template["Resources"][f"{api}Redeployment"] = {
                "Type": "AWS::ApiGateway::Deployment",
                "DependsOn": [f"{api}{stage}Stage", *added],
                "Properties": {"RestApiId": {"Ref": api}, "StageName": stage},
            }
            restated.append(api)
    return restated


def _gateway_response(response: Mapping[str, Any]) -> dict[str, Any]:
    """SAM's form of a gateway response as CloudFormation's."""
    headers = response.get("ResponseParameters", {}).get("Headers", {})
    plain = {name: value for name, value in response.items() if name != "ResponseParameters"}
    parameters = {f"gatewayresponse.header.{name}": value for name, value in headers.items()}
    return plain | {"ResponseParameters": parameters}


def _send_from_any_identity(template: Template, _: Path) -> list[str]:
    changed = []
    for name, resource in template["Resources"].items():
        for statement in _statements(resource):
            actions = statement["Action"]
            if "ses:SendEmail" in ([actions] if isinstance(actions, str) else actions):
                statement["Resource"] = "*"
                statement.pop("Condition", None)
                changed.append(name)
    return changed


def _deliver_again_soon(template: Template, _: Path) -> list[str]:
    queues = _of_type(template, QUEUE)
    consumed = {name: queue for name, queue in queues.items() if "RedrivePolicy" in queue}
    for queue in consumed.values():
        queue["VisibilityTimeout"] = VISIBILITY_SECONDS
    return list(consumed)


def _take_few_batches_at_a_time(template: Template, _: Path) -> list[str]:
    sources = {
        name: event["Properties"]
        for name, function in _of_type(template, FUNCTION).items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    for source in sources.values():
        source["ScalingConfig"] = {"MaximumConcurrency": CONCURRENT_BATCHES}
    return list(sources)


def _take_plain_http(template: Template, _: Path) -> list[str]:
    changed = []
    for name, policy in _of_type(template, "AWS::SQS::QueuePolicy").items():
        statements = policy["PolicyDocument"]["Statement"]
        kept = [it for it in statements if "aws:SecureTransport" not in str(it.get("Condition"))]
        if kept != statements:
            policy["PolicyDocument"]["Statement"] = kept
            changed.append(name)
    for name in changed:
        if not template["Resources"][name]["Properties"]["PolicyDocument"]["Statement"]:
            del template["Resources"][name]
    return changed


def _deploy_at_once(template: Template, _: Path) -> list[str]:
    functions = {"Globals": template.get("Globals", {}).get("Function", {}), **_of_type(template, FUNCTION)}
    return [name for name, properties in functions.items() if properties.pop("DeploymentPreference", None)]


RULES = (
    Rule(
        "run as provided.al2023, where bootstrap starts AWS's own runtime client",
        "its own Python worker names each error Runtime.HandlerError: no Catch would match",
        _run_the_runtime_client,
    ),
    Rule(
        "has its definition as JSON",
        "it reads no YAML",
        _point_to_json,
    ),
    Rule(
        "has its gateway responses as resources of their own, and is deployed once more",
        "it ignores them in an API's definition",
        _restate_gateway_responses,
    ),
    Rule(
        "left out, with the outputs that name it",
        "it rejects a template that has this type of resource",
        _leave_out,
    ),
    Rule(
        f"shows a message again after {VISIBILITY_SECONDS} s",
        "may have no worker ready in time on a small machine, and the message would wait for minutes",
        _deliver_again_soon,
    ),
    Rule(
        f"takes {CONCURRENT_BATCHES} batches at a time",
        "runs all functions on two or a few processors: the consumers would take them from the API and the workflow",
        _take_few_batches_at_a_time,
    ),
    Rule(
        "takes requests without TLS",
        "it speaks plain HTTP, on this machine alone",
        _take_plain_http,
    ),
    Rule(
        "shifts calls to new code at once",
        "it has no CodeDeploy",
        _deploy_at_once,
    ),
    Rule(
        "may send from any identity",
        "it denies ses:SendEmail on an identity's ARN, and the condition ses:FromAddress",
        _send_from_any_identity,
    ),
)


def _of_type(template: Template, resource_type: str) -> dict[str, Any]:
    """The properties of the resources of this type, by logical id."""
    return {
        name: resource.setdefault("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == resource_type
    }


def _mentions(node: object, names: list[str]) -> bool:
    """Whether a Ref, a Fn::GetAtt or a Fn::Sub under the node names one of the resources."""
    match node:
        case {"Ref": str(name)}:
            return name in names
        case {"Fn::GetAtt": [str(name), *_]}:
            return name in names
        case {"Fn::Sub": str(text) | [str(text), *_]}:
            return any(f"${{{name}}}" in text or f"${{{name}." in text for name in names)
        case dict():
            return any(_mentions(child, names) for child in node.values())
        case list():
            return any(_mentions(child, names) for child in node)
    return False


def _statements(node: object) -> Iterator[dict[str, Any]]:
    """The policy statements anywhere under the node."""
    if isinstance(node, dict):
        if "Effect" in node and "Action" in node:
            yield node
        children = list(node.values())
    elif isinstance(node, list):
        children = node
    else:
        children = []
    for child in children:
        yield from _statements(child)
