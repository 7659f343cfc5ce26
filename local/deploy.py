"""The real `sam deploy` of the project's template to an emulator."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from local import downstream
from local.build import BUILT, TARGET, build, build_functions
from local.downstream import System
from local.emulator import Emulator, EmulatorSession
from local.patch import Change, patch
from local.sam import sam

STACK_NAME = "customer-onboarding"
SENDER = "welcome@example.com"
ARTIFACTS = "artifacts"
SILENT = Console(quiet=True)


@dataclass(frozen=True)
class Stack:
    """A deployed stack: the template's outputs by name, and the emulator it lives on."""

    emulator: Emulator
    outputs: Mapping[str, str]

    @property
    def session(self) -> EmulatorSession:
        """A boto3 session as the account's root user."""
        return self.emulator.session

    @property
    def api_url(self) -> str:
        """Where the API answers here; on AWS it is the output ApiUrl."""
        api, stage = self.outputs["RestApiId"], self.outputs["StageName"]
        return f"{self.emulator.endpoint_url}/_aws/execute-api/{api}/{stage}"


def deploy(emulator: Emulator, console: Console = SILENT, systems: Sequence[System] = ()) -> Stack:
    """Build the template where its inputs changed, deploy it, and start each function once.

    `systems` are the downstream systems in which each customer gets an account. What is done, and what is
    changed for the emulator, is printed to `console`. Raises `SamFailed` with all that SAM CLI said.
    """
    with _step(console, "sam build") as step:
        if not build():
            step.append("unchanged")
    template = yaml.safe_load((BUILT / "template.yaml").read_text())
    patched, changes = patch(template, BUILT)
    console.print(_as_table(changes))
    with _step(console, "sam deploy"):
        downstream.configure(emulator.session, STACK_NAME, systems)
        emulator.session.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        parameters = {"SenderEmail": SENDER} | downstream.template_parameters(systems)
        _sam_deploy(emulator, STACK_NAME, patched, parameters)
    with _step(console, "warm up"):
        _warm_up(emulator.session)
    return Stack(emulator, _outputs(emulator.session, STACK_NAME))


def deploy_beside(stack: Stack, name: str, template: Path, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Build and deploy another application beside the stack; return its outputs. Raises `SamFailed`."""
    built = stack.emulator.folder / name
    build_functions(template, built)
    patched, _ = patch(yaml.safe_load((built / "template.yaml").read_text()), built)
    _sam_deploy(stack.emulator, name, patched, parameters)
    return _outputs(stack.session, name)


def _sam_deploy(emulator: Emulator, name: str, template: Mapping[str, object], parameters: Mapping[str, str]) -> None:
    emulator.session.client("s3").create_bucket(Bucket=ARTIFACTS)
    path = emulator.folder / f"{name}.json"
    path.write_text(json.dumps(template))
    parameters = TARGET | dict(parameters)
    sam(
        "deploy",
        *("--template-file", str(path)),
        *("--stack-name", name),
        *("--s3-bucket", ARTIFACTS),
        *("--capabilities", "CAPABILITY_IAM"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())),
        "--no-confirm-changeset",
        "--no-progressbar",
        directory=emulator.folder,
        environment=emulator.credentials(),
    )


def _warm_up(session: EmulatorSession) -> None:
    """Invoke each function with an empty object: it imports its code and refuses the input.

    As many at a time as there are processors; together they would take longer to start than
    Lambda allows.
    """
    resources = session.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)
    names = [
        resource["PhysicalResourceId"]
        for resource in resources["StackResources"]
        if resource["ResourceType"] == "AWS::Lambda::Alias"
    ]
    client = session.client("lambda")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda name: client.invoke(FunctionName=name, Payload=b"{}"), names))


def _outputs(session: EmulatorSession, name: str) -> dict[str, str]:
    stacks = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}


@contextmanager
def _step(console: Console, name: str) -> Iterator[list[str]]:
    """Show a step while it runs, then a line with its seconds and what was appended."""
    remarks: list[str] = []
    began = time.monotonic()
    with console.status(f"{name} …"):
        yield remarks
    console.print(f"{name:<12}{time.monotonic() - began:5.1f} s  {', '.join(remarks)}".rstrip())


def _as_table(changes: list[Change]) -> Table:
    table = Table("resources", "on this machine", "because the emulator", title_justify="left")
    table.title = "Changed in the built template, for the emulator only"
    for change in changes:
        table.add_row("\n".join(change.where), change.what, change.why)
    return table
