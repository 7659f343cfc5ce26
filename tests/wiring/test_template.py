"""The template is whole: what it refers to is there, and what is there is referred to."""

from __future__ import annotations

import re

from tests.in_process import template
from tests.wiring import report


def test_each_reference_leads_somewhere() -> None:
    for part in ("Globals", "Resources", "Outputs"):
        template.resolve(template.written()[part])  # raises Unresolved
    template.resolve(template.transformed()["Resources"])


def test_each_parameter_is_used() -> None:
    used = set(template.references([template.written()[part] for part in ("Conditions", "Globals", "Resources")]))

    report.none_of(f"template.yaml: nothing uses {name}" for name in template.written()["Parameters"].keys() - used)


def test_each_parameter_has_a_description_and_a_group() -> None:
    written = template.written()
    groups = written["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(written["Parameters"])
    assert all(it["Description"] for it in [*written["Parameters"].values(), *written["Outputs"].values()])


def test_only_the_sender_is_asked_for() -> None:
    parameters = template.written()["Parameters"]

    assert {name for name, it in parameters.items() if "Default" not in it} == {"SenderEmail"}


def test_outputs_tell_what_is_needed_to_use_the_stack() -> None:
    outputs = template.resolve(template.written()["Outputs"])
    values = {name: output["Value"] for name, output in outputs.items()}

    assert values["StateMachineArn"] == template.arn_of("CustomerOnboardingStateMachine")
    assert values["EventBusName"] == template.name_of("EventBus")
    assert values["EventBusArn"] == template.arn_of("EventBus")
    assert re.fullmatch(r"https://.+/v1", values["ApiUrl"])
    assert all(values.values())
