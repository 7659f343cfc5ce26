"""The template is whole: what it refers to is there, and what is there is referred to."""

from __future__ import annotations

import re

from tests.wiring import functions, template


def test_every_reference_leads_somewhere() -> None:
    deployed = template.deployed()  # raises Unresolved

    assert deployed["Resources"].keys() == template.transformed()["Resources"].keys()


def test_a_reference_that_leads_nowhere_would_be_found() -> None:
    for broken in (
        {"Ref": "Nothing"},
        {"Fn::GetAtt": ["Nothing", "Arn"]},
        {"Fn::Sub": "${Nothing}"},
        {"Fn::Sub": ["${Nothing.Arn}", {"Something": "else"}]},
        {"Fn::Join": ["", [{"Ref": "Nothing"}]]},
        {"Fn::If": ["Nothing", 1, 2]},
        {"Fn::Not": [{"Fn::Equals": [{"Ref": "Nothing"}, ""]}]},
    ):
        try:
            template.resolve(broken)
        except template.Unresolved as unresolved:
            assert "Nothing" in str(unresolved)  # noqa: PT017
        else:
            raise AssertionError(broken)


def test_every_condition_is_used() -> None:
    written = template.written()

    used = set(template.references([written["Globals"], written["Resources"], written["Outputs"]]))
    used |= {resource.get("Condition", "") for resource in written["Resources"].values()}

    assert written["Conditions"].keys() <= used


def test_every_parameter_is_used() -> None:
    written = template.written()
    parts = [written[part] for part in ("Conditions", "Globals", "Resources", "Outputs")]

    assert written["Parameters"].keys() <= set(template.references(parts))


def test_every_parameter_is_shown_in_a_group() -> None:
    interface = template.written()["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]

    assert sorted(grouped) == sorted(template.written()["Parameters"])


def test_what_is_chosen_instead_of_a_default_is_a_parameter_and_one_that_it_takes() -> None:
    for name, value in template.CHOSEN.items():
        parameter = template.written()["Parameters"][name]
        for each in value.split(","):
            assert re.fullmatch(parameter.get("AllowedPattern", ".*"), each)


def test_every_parameter_has_a_default_or_is_asked_for() -> None:
    parameters = template.written()["Parameters"]

    assert {name for name, it in parameters.items() if "Default" not in it} == template.ASKED_FOR.keys()
    assert all(parameter["Description"] for parameter in parameters.values())


def test_every_output_has_a_value() -> None:
    outputs = template.deployed()["Outputs"]

    assert outputs
    for output in outputs.values():
        assert output["Value"]
        assert output["Description"]


def test_the_outputs_tell_what_is_needed_to_use_the_stack() -> None:
    values = {name: output["Value"] for name, output in template.deployed()["Outputs"].items()}
    (machine,) = template.resources("AWS::StepFunctions::StateMachine")
    (bus,) = template.resources("AWS::Events::EventBus")

    assert values["StateMachineArn"] == template.arn_of(machine)
    assert values["EventBusName"] == template.name_of(bus)
    assert values["EventBusArn"] == template.arn_of(bus)
    assert values["ApiUrl"].startswith("https://")


def test_every_log_group_has_a_user_and_an_end() -> None:
    used = {it["LoggingConfig"]["LogGroup"] for it in template.resources("AWS::Lambda::Function").values()}
    for machine in template.resources("AWS::StepFunctions::StateMachine").values():
        for destination in machine["LoggingConfiguration"]["Destinations"]:
            arn = destination["CloudWatchLogsLogGroup"]["LogGroupArn"]
            used |= {name for name in map(template.name_of, _log_groups()) if f":{name}:" in arn}

    assert set(map(template.name_of, _log_groups())) == used
    assert len(used) == len(functions.deployed()) + len(template.resources("AWS::StepFunctions::StateMachine"))
    written = template.written_resources("AWS::Logs::LogGroup").values()
    assert [properties["RetentionInDays"] for properties in written] == [{"Ref": "LogRetentionDays"}] * len(used)


def _log_groups() -> dict[str, template.Document]:
    return dict(template.resources("AWS::Logs::LogGroup"))
