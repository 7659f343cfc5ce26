"""A deployment publishes each function whose code, properties or parameters have changed, and nothing twice."""

import json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from cli import NotPossible
from cli.operate import deployment
from tests.in_process import template


def versions(runtime: str = "python3.14", **parameters: str) -> dict[str, str]:
    """The functions' versions, as SAM names them, and each one's deletion policy."""
    changed = deepcopy(template.written())
    changed["Globals"]["Function"]["Runtime"] = runtime
    resources = template.expanded(changed, parameters.items())["Resources"]
    return {name: it["DeletionPolicy"] for name, it in resources.items() if it["Type"] == "AWS::Lambda::Version"}


def test_each_release_publishes_every_function() -> None:
    functions = len(template.written_resources("AWS::Serverless::Function"))
    # The last two are deployed without `onboarding deploy`, after it.
    releases = [versions(Release="a" * 64), versions(Release="b" * 64), versions(), versions("python3.13")]

    assert [len(it) for it in releases] == [functions] * len(releases)
    assert len(set().union(*releases)) == functions * len(releases)
    assert set(releases[0].values()) == {"Delete"}


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The parameters of a new stack; `sam deploy` sets those that it is given."""
    declared = template.written()["Parameters"]
    (tmp_path / "template.yaml").write_text(json.dumps({"Parameters": declared}), encoding="utf-8")
    parameters: dict[str, str] = {}

    def stack(*_: object) -> SimpleNamespace:
        if not parameters:
            raise ClientError({"Error": {"Message": "Stack with id onboarding does not exist"}}, "DescribeStacks")
        return SimpleNamespace(parameters=parameters)

    def sam(command: list[str], **_: object) -> SimpleNamespace:
        given = deployment.overrides({"parameter_overrides": command[command.index("--parameter-overrides") + 1 :]})
        parameters.update({name: str(it.get("Default")) for name, it in declared.items()} | parameters | given)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(deployment, "BUILT", tmp_path)
    monkeypatch.setattr(deployment, "Stack", stack)
    monkeypatch.setattr(deployment, "settings", lambda _: {"stack_name": "onboarding"})
    monkeypatch.setattr("cli.operate.deployment.subprocess.run", sam)
    return parameters


def test_same_deployment_has_the_same_release(deployed: dict[str, str]) -> None:
    def release(**given: str) -> str:
        deployment.deploy("dev", given)
        return deployed["Release"]

    first, again = release(SenderEmail="welcome@example.com"), release()
    others = [release(**{name: f'another "{name}"'}) for name in deployed if name != "Release"]
    kept = release()
    (deployment.BUILT / "app.py").touch()

    assert (again, kept, deployed["CompanyName"]) == (first, others[-1], 'another "CompanyName"')
    assert len({first, *others, release()}) == len(others) + 2 == len(deployed) + 1
    with pytest.raises(NotPossible, match="no parameter DownstreamQueueArns"):
        release(DownstreamQueueArns="arn")
