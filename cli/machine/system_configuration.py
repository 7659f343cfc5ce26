"""Which downstream systems the stack has, configured as an operator would: parameters and secrets, no code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.machine.emulator import EmulatorSession


@dataclass(frozen=True)
class SystemConfiguration:
    """A downstream system: its settings, its credentials where it has any, its ARN where it is a resource of AWS.

    The settings are what the adapter of its kind takes (functions/onboarding/adapters/downstream).
    """

    name: str
    settings: Mapping[str, Any]
    credentials: Mapping[str, str] | None = None
    arn: str | None = None


def configure(session: EmulatorSession, stack_name: str, systems: Iterable[SystemConfiguration]) -> None:
    """Write each system's settings and credentials, or overwrite them."""
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
    """The template's parameters for these systems; none for none, which is its default."""
    parameters = {
        "DownstreamSystems": ",".join(system.name for system in systems),
        "DownstreamArns": ",".join(system.arn for system in systems if system.arn),
    }
    return {name: value for name, value in parameters.items() if value}
