"""Configures the stack's downstream systems as an operator would: by parameters and secrets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.machine.emulator import EmulatorSession


@dataclass(frozen=True)
class SystemConfiguration:
    """A downstream system; functions/onboarding/adapters/downstream explains the settings of each kind.

    `arn` is for one that is an AWS resource.
    """

    name: str
    settings: Mapping[str, Any]
    credentials: Mapping[str, str] | None = None
    arn: str | None = None


def configure(session: EmulatorSession, stack_name: str, systems: Iterable[SystemConfiguration]) -> None:
    """Write or overwrite each system's settings and credentials."""
    parameters, secrets = session.client("ssm"), session.client("secretsmanager")
    for system in systems:
        name = f"/{stack_name}/downstream/{system.name}"
        parameters.put_parameter(Name=name, Value=json.dumps(system.settings), Type="String", Overwrite=True)
        if system.credentials is None:
            continue
        secret = json.dumps(system.credentials)
        try:
            secrets.create_secret(Name=name, SecretString=secret)
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=name, SecretString=secret)


def template_parameters(systems: Sequence[SystemConfiguration]) -> dict[str, str]:
    """The template's parameters for these systems."""
    parameters = {
        "DownstreamSystems": ",".join(system.name for system in systems),
        "DownstreamArns": ",".join(system.arn for system in systems if system.arn),
    }
    return {name: value for name, value in parameters.items() if value}
