"""`sam deploy` with a Release, a hash of all that is deployed: a new one publishes each function.

Without it, SAM publishes no function for a changed parameter.
https://github.com/aws/serverless-application-model/issues/3820
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import ClientError
from samcli.cli.types import CfnParameterOverridesType  # type: ignore[import-untyped]
from samcli.lib.config.samconfig import SamConfig  # type: ignore[import-untyped]
from samcli.lib.utils.hash import dir_checksum  # type: ignore[import-untyped]

from cli import PROJECT, NotPossible
from cli.aws.stack import Stack

BUILT = PROJECT / ".aws-sam" / "build"


def deploy(environment: str, given: Mapping[str, str], *options: str) -> None:
    """Deploy what `make build` built, with an environment's parameters and those given. Raises `NotPossible`."""
    chosen = overrides(settings(environment)) | dict(given)
    if not (BUILT / "template.yaml").exists():
        raise NotPossible("Nothing is built. Run `make build` first")
    declared = yaml.safe_load((BUILT / "template.yaml").read_text(encoding="utf-8"))["Parameters"]
    if unknown := chosen.keys() - declared.keys():
        raise NotPossible(f"template.yaml has no parameter {', '.join(unknown)}")
    stored = _stored(environment)  # CloudFormation keeps them
    values = {name: stored.get(name, str(it.get("Default", ""))) for name, it in declared.items()}
    digest = sha256(json.dumps(values | chosen | {"Release": ""}).encode())
    chosen["Release"] = dir_checksum(str(BUILT), hash_generator=digest)
    quoted = ['{}="{}"'.format(name, value.replace('"', '\\"')) for name, value in chosen.items()]
    sam = [str(Path(sys.executable).with_name("sam")), "deploy", "--config-env", environment, *options]
    if status := subprocess.run([*sam, "--parameter-overrides", *quoted], cwd=PROJECT, check=False).returncode:
        raise NotPossible(f"sam deploy ended with exit status {status}")


def settings(environment: str) -> Mapping[str, Any]:
    """What samconfig.toml gives to `sam deploy` for an environment. Raises `NotPossible`."""
    if found := SamConfig(PROJECT).get_all(["deploy"], "parameters", environment):
        return dict(found)
    raise NotPossible(f"samconfig.toml has no environment {environment}")


def session(environment: str) -> boto3.Session:
    """A session in an environment's account and region."""
    deploy = settings(environment)
    return boto3.Session(profile_name=deploy.get("profile"), region_name=deploy.get("region"))


def overrides(deploy: Mapping[str, Any]) -> dict[str, str]:
    """The parameters in these settings: a list, or the one string that `--guided` writes."""
    return dict(CfnParameterOverridesType().convert(deploy.get("parameter_overrides"), None, None))


def _stored(environment: str) -> Mapping[str, str]:
    """The parameters of the last deployment; none before the first."""
    try:
        return Stack(session(environment), settings(environment)["stack_name"]).parameters
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        return {}
