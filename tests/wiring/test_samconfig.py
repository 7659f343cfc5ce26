"""samconfig.toml's settings fit the template."""

import re
import tomllib
from pathlib import Path

from samcli.commands.deploy.guided_config import GuidedConfig  # type: ignore[import-untyped]
from samcli.lib.config.samconfig import SamConfig  # type: ignore[import-untyped]

from cli import PROJECT
from cli.operate import deployment
from tests.in_process import template


def test_each_environment_has_its_own_stack() -> None:
    settings = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    environments = {name: it for name, it in settings.items() if name != "version"}
    deployments = {name: deployment.settings(name) for name in environments}

    assert environments.keys() == {"default", "dev", "prod"}
    assert len({it["stack_name"] for it in deployments.values()}) == len(environments)
    for environment, deploy in deployments.items():
        assert deploy["capabilities"] == "CAPABILITY_IAM"
        assert deploy["s3_prefix"]  # with another one, the same code would be published again
        assert environments[environment]["build"]["parameters"]["beta_features"] is True  # for their BuildMethod
        overrides = deployment.overrides(deploy)
        assert overrides["Release"] == ""  # else `sam deploy` alone would keep the last one
        for name, value in overrides.items():
            parameter = template.written()["Parameters"][name]
            assert value in map(str, parameter.get("AllowedValues", [value])), name
            assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), name
            if parameter["Type"] == "Number":
                least, most = parameter.get("MinValue", value), parameter.get("MaxValue", value)
                assert float(least) <= float(value) <= float(most), name


def test_guided_answers_are_read_like_a_list(tmp_path: Path) -> None:
    chosen = deployment.overrides(deployment.settings("dev")) | {"CompanyName": "Smith & Søn", "AlarmTopicArn": ""}
    config = SamConfig(tmp_path)
    GuidedConfig("template.yaml", "parameters")._save_parameter_overrides(["deploy"], "dev", chosen, config)

    written = config.document["dev"]["deploy"]["parameters"]

    assert isinstance(written["parameter_overrides"], str)
    assert deployment.overrides(written) == chosen
