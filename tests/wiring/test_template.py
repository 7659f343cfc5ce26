"""The template's references lead somewhere, and everything in it is used."""

import re

from tests.in_process import template
from tests.wiring import report


def test_each_reference_can_be_resolved() -> None:
    for part in ("Globals", "Resources", "Outputs"):
        template.resolve(template.written()[part])  # raises Unresolved
    template.resolve(template.transformed()["Resources"])


def test_each_parameter_is_used() -> None:
    used = set(template.references([template.written()[part] for part in ("Conditions", "Globals", "Resources")]))

    report.none_of(f"template.yaml: nothing uses {name}" for name in template.written()["Parameters"].keys() - used)


def test_each_parameter_has_a_description_and_a_group() -> None:
    written = template.written()
    groups = written["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    parameters = written["Parameters"]
    grouped = [name for group in groups for name in group["Parameters"]]
    undescribed = {name for name, it in (parameters | written["Outputs"]).items() if "Description" not in it}

    report.none_of(f"template.yaml: {name} is in no ParameterGroup" for name in parameters.keys() - set(grouped))
    report.none_of(f"template.yaml: {name} has no Description" for name in undescribed)
    assert sorted(grouped) == sorted(parameters)
    # Only the sender has no default.
    assert {name for name, it in parameters.items() if "Default" not in it} == {"SenderEmail"}


def test_outputs_have_what_a_caller_needs() -> None:
    outputs = template.resolve(template.written()["Outputs"])
    values = {name: output["Value"] for name, output in outputs.items()}

    assert values["StateMachineArn"] == template.arn_of("CustomerOnboardingStateMachine")
    assert values["EventBusName"] == template.name_of("EventBus")
    assert values["EventBusArn"] == template.arn_of("EventBus")
    assert re.fullmatch(r"https://.+/v1", values["ApiUrl"])
    assert all(values.values())
