"""Deploys the project's template to an emulator with `sam deploy`."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

import yaml
from rich.console import Console
from rich.table import Table

from cli import NotPossible
from cli.aws.stack import Stack
from cli.machine import system_configuration
from cli.machine.build import BUILT, TARGET, build, build_functions
from cli.machine.emulator import Emulator
from cli.machine.patch import Change, Template, patch
from cli.machine.sam import sam
from cli.machine.system_configuration import SystemConfiguration

STACK_NAME = "customer-onboarding"
SENDER = "welcome@example.com"
ARTIFACTS = "artifacts"
# A file in the emulator's folder, with the digest of what was deployed.
DIGEST = "deployed"
SILENT = Console(quiet=True)


@dataclass(frozen=True)
class EmulatorStack(Stack):
    """The stack on an emulator."""

    emulator: Emulator

    @classmethod
    def on(cls, emulator: Emulator) -> Self:
        return cls(emulator.session, STACK_NAME, emulator)

    @property
    def api_url(self) -> str:
        """The API's URL on the emulator, which isn't the output ApiUrl."""
        api, stage = self.outputs["RestApiId"], self.outputs["StageName"]
        return f"{self.emulator.endpoint_url}/_aws/execute-api/{api}/{stage}"


def deploy(emulator: Emulator, console: Console = SILENT, systems: Sequence[SystemConfiguration] = ()) -> EmulatorStack:
    """Build and deploy the template with these downstream systems, and start each function. Raises `NotPossible`.

    Prints its progress, and the template's changes for the emulator.
    """
    template, changes, digest = _build(console)
    console.print(_as_table(changes))
    system_configuration.configure(emulator.session, STACK_NAME, systems)
    emulator.session.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    emulator.session.client("s3").create_bucket(Bucket=ARTIFACTS)
    parameters = {"SenderEmail": SENDER} | system_configuration.template_parameters(systems)
    return _deploy(emulator, console, template, digest, parameters)


def update(stack: EmulatorStack, console: Console) -> bool:
    """Deploy the changes and keep the stack's data; returns whether there were any. Raises what `deploy` raises."""
    template, _, digest = _build(console)
    record = stack.emulator.folder / DIGEST
    if record.exists() and record.read_text(encoding="utf-8") == digest:
        return False
    _deploy(stack.emulator, console, template, digest, {})
    return True


def _build(console: Console) -> tuple[Template, list[Change], str]:
    """The template for the emulator, the changes made in it, and the SHA-256 of the whole deployment."""
    with _step(console, "sam build") as step:
        if not build():
            step.append("unchanged")
    template, changes = _patched(BUILT)
    content = [json.dumps(template).encode(), *(package.read_bytes() for package in sorted(BUILT.glob("*.zip")))]
    return template, changes, sha256(b"\0".join(content)).hexdigest()


def _patched(built: Path) -> tuple[Template, list[Change]]:
    """The template built into a folder, patched for the emulator, and the changes made in it."""
    template: Template = yaml.load((built / "template.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return template, patch(template, built)


def _deploy(
    emulator: Emulator, console: Console, template: Template, digest: str, parameters: Mapping[str, str]
) -> EmulatorStack:
    record = emulator.folder / DIGEST
    record.unlink(missing_ok=True)  # so that a failed deployment is repeated
    with _step(console, "sam deploy"):
        _sam_deploy(emulator, STACK_NAME, template, parameters)
    stack = EmulatorStack.on(emulator)
    with _step(console, "warm up"):
        _warm_up(stack)
    record.write_text(digest, encoding="utf-8")
    return stack


def deploy_beside(stack: EmulatorStack, name: str, template: Path, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Build and deploy another application beside the stack; return its outputs. Raises `NotPossible`."""
    built = stack.emulator.folder / name
    build_functions(template, built)
    template_here, _ = _patched(built)
    _sam_deploy(stack.emulator, name, template_here, parameters)
    return Stack(stack.session, name).outputs


def _sam_deploy(emulator: Emulator, name: str, template: Mapping[str, object], parameters: Mapping[str, str]) -> None:
    path = emulator.folder / f"{name}.json"
    path.write_text(json.dumps(template), encoding="utf-8")
    parameters = TARGET | dict(parameters)
    sam(
        "deploy",
        *("--template-file", str(path)),
        *("--stack-name", name),
        *("--s3-bucket", ARTIFACTS),
        *("--capabilities", "CAPABILITY_IAM"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())),
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        "--use-json",  # SAM CLI writes and reads YAML slowly
        directory=emulator.folder,
        environment=emulator.credentials(),
    )


def _warm_up(stack: Stack) -> None:
    """Invoke each function with an empty object, which it rejects, to see that it starts. Raises `NotPossible`.

    Then delete its old versions, each of which keeps a worker. The last one stays: it may have calls to answer.
    """
    functions = stack.session.client("lambda")

    def start(alias: str) -> str | None:
        answer = json.loads(functions.invoke(FunctionName=alias, Payload=b"{}")["Payload"].read())
        if isinstance(answer, dict) and str(answer.get("errorType")).startswith("Runtime."):
            return f"{alias}: {answer['errorType']}: {answer['errorMessage']}"
        name = alias.split(":")[-2]
        versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
        for number in sorted(int(it["Version"]) for it in versions if it["Version"] != "$LATEST")[:-2]:
            functions.delete_function(FunctionName=name, Qualifier=str(number))
        return None

    # One thread for each processor: more would only wait for each other.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        broken = list(filter(None, pool.map(start, [alias for _, alias in stack.resources("AWS::Lambda::Alias")])))
    if broken:
        raise NotPossible("\n".join(["These functions don't start:", *broken]))


@contextmanager
def _step(console: Console, name: str) -> Iterator[list[str]]:
    """Show a step while it runs, then its seconds and the remarks appended to it."""
    remarks: list[str] = []
    began = time.monotonic()
    with console.status(f"{name} …"):
        yield remarks
    console.print(f"{name:<12}{time.monotonic() - began:5.1f} s  {', '.join(remarks)}".rstrip())


def _as_table(changes: list[Change]) -> Table:
    table = Table("resources", "on this machine", "because the emulator", title_justify="left")
    table.title = "Changes to the built template, for the emulator only"
    for change in changes:
        table.add_row("\n".join(change.where), change.what, change.why)
    return table
