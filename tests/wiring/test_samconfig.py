"""What samconfig.toml gives to `sam` fits the template."""

import re
import tomllib

from cli import PROJECT
from tests.in_process import template


def test_each_environment_has_its_own_stack() -> None:
    settings = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    environments = {name: it for name, it in settings.items() if name != "version"}
    names = {environment["global"]["parameters"]["stack_name"] for environment in environments.values()}

    assert environments.keys() == {"default", "dev", "prod"}
    assert len(names) == len(environments)
    for environment in environments.values():
        deploy = environment["deploy"]["parameters"]
        assert deploy["capabilities"] == "CAPABILITY_IAM"
        assert environment["build"]["parameters"]["beta_features"] is True  # for the functions' BuildMethod
        for override in deploy.get("parameter_overrides", []):
            name, _, value = override.partition("=")
            parameter = template.written()["Parameters"][name]
            assert value in map(str, parameter.get("AllowedValues", [value])), override
            assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), override
            if parameter["Type"] == "Number":
                least, most = parameter.get("MinValue", value), parameter.get("MaxValue", value)
                assert float(least) <= float(value) <= float(most), override
