"""samconfig.toml deploys this template."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest

from cli import PROJECT
from tests.wiring import template

ENVIRONMENTS = {
    name: section
    for name, section in tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8")).items()
    if name != "version"
}
PARAMETERS = template.written()["Parameters"]


def overrides() -> Iterator[tuple[str, str]]:
    for environment in ENVIRONMENTS.values():
        for override in environment.get("deploy", {}).get("parameters", {}).get("parameter_overrides", []):
            name, _, value = override.partition("=")
            yield name, value


def test_there_is_an_environment_to_produce_one_to_develop_and_one_by_default() -> None:
    assert ENVIRONMENTS.keys() == {"default", "dev", "prod"}


def test_every_environment_is_a_stack_of_its_own() -> None:
    names = [environment["global"]["parameters"]["stack_name"] for environment in ENVIRONMENTS.values()]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "value"), sorted(set(overrides())))
def test_an_override_is_of_a_parameter_and_one_that_it_takes(name: str, value: str) -> None:
    parameter = PARAMETERS[name]

    assert value in map(str, parameter.get("AllowedValues", [value]))
    assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value)
    if parameter["Type"] == "Number":
        assert float(parameter.get("MinValue", value)) <= float(value) <= float(parameter.get("MaxValue", value))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_may_make_the_roles_that_the_template_has(environment: str) -> None:
    assert ENVIRONMENTS[environment]["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_builds_for_a_python_that_the_machine_need_not_have(environment: str) -> None:
    methods = {
        resource["Metadata"]["BuildMethod"]
        for resource in template.written()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    }

    assert methods == {"python-uv"}
    assert ENVIRONMENTS[environment]["build"]["parameters"]["beta_features"] is True
