"""Deploys the project's template to an emulator with `sam deploy`."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Self

import yaml
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from cli import NotPossible
from cli.aws.stack import Stack
from cli.machine import system_configuration
from cli.machine.build import BUILT, build, build_functions
from cli.machine.emulator import Emulator
from cli.machine.patch import Change, Template, patch
from cli.machine.sam import sam
from cli.machine.system_configuration import SystemConfiguration

STACK_NAME = "customer-onboarding"
SENDER = "welcome@example.com"
ARTIFACTS = "artifacts"
# A file in the emulator's folder, with the digests of what was deployed.
DIGESTS = "deployed.json"
# Prefix of the outputs that hold the definition's substitutions.
SUBSTITUTION = "Substitution"
# Of so many resources and more, only the first is printed.
MANY = 9
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

    @property
    def recent(self) -> datetime:
        """The same, without the errors of the functions that were started with an empty object."""
        deployed = (self.emulator.folder / DIGESTS).stat().st_mtime
        return max(super().recent, datetime.fromtimestamp(deployed, UTC))


def deploy(
    emulator: Emulator, console: Console = SILENT, systems: Sequence[SystemConfiguration] = (), **parameters: str
) -> EmulatorStack:
    """Build and deploy the template with these downstream systems and parameters, and start each function.

    Raises `NotPossible`.

    Prints its progress, and the template's changes for the emulator.
    """
    template, changes, digests = _build(console)
    console.print(_as_table(changes))
    system_configuration.configure(emulator.session, STACK_NAME, systems)
    emulator.session.client("sesv2").create_email_identity(EmailIdentity=SENDER)
    emulator.session.client("s3").create_bucket(Bucket=ARTIFACTS)
    parameters |= {"SenderEmail": SENDER} | system_configuration.template_parameters(systems)
    with _step(console, "sam deploy"):
        _sam_deploy(emulator, STACK_NAME, template, parameters)
    stack = EmulatorStack.on(emulator)
    with _step(console, "warm up"):
        _warm_up(stack)
    _remember(emulator, digests)
    return stack


def update(stack: EmulatorStack, console: Console) -> bool:
    """Deploy the changes and keep the stack's data; returns whether there were any. Raises what `deploy` raises.

    An edit of the code or of the definition takes a second or two, because it needs no `sam deploy`.
    """
    template, _, digests = _build(console)
    record = stack.emulator.folder / DIGESTS
    before = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    changed = {part for part, digest in digests.items() if digest != before.get(part)}
    if not changed:
        return False
    # A failed update is repeated.
    _remember(stack.emulator, {part: digest for part, digest in before.items() if part not in changed})
    if "template" in changed:
        with _step(console, "sam deploy"):
            _sam_deploy(stack.emulator, STACK_NAME, template, {})
        stack = EmulatorStack.on(stack.emulator)
    # Also after `sam deploy`: to CloudFormation, the code and the definition that it deployed last are no change.
    if "functions" in changed:
        with _step(console, "functions"):
            _update_functions(stack)
    if "workflow" in changed:
        with _step(console, "workflow"):
            _update_workflow(stack, template)
    if changed & {"template", "functions"}:
        with _step(console, "warm up"):
            _warm_up(stack)
    _remember(stack.emulator, digests)
    return True


def _remember(emulator: Emulator, digests: Mapping[str, str]) -> None:
    (emulator.folder / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")


def _build(console: Console) -> tuple[Template, list[Change], Mapping[str, str]]:
    """The template for the emulator, the changes made in it, and the SHA-256 of each part of the deployment."""
    with _step(console, "sam build") as step:
        if not build():
            step.append("unchanged")
    template, changes = _patched(BUILT)
    machines, rest, definitions = _state_machines(template), dict(template["Resources"]), {}
    for logical_id, machine in machines.items():
        values = machine["DefinitionSubstitutions"].items()
        template["Outputs"] |= {f"{SUBSTITUTION}{name}": {"Value": value} for name, value in values}
        rest[logical_id] = {name: it for name, it in machine.items() if name != "Definition"}
        definitions[logical_id] = machine["Definition"]
    parts = {
        "template": json.dumps(template | {"Resources": rest}).encode(),
        "functions": _package(),
        "workflow": json.dumps(definitions).encode(),
    }
    return template, changes, {name: sha256(part).hexdigest() for name, part in parts.items()}


def _package() -> bytes:
    """The zip file that all functions share."""
    (package,) = BUILT.glob("*.zip")
    return package.read_bytes()


def _update_functions(stack: Stack) -> None:
    """Publish a version of each function with the code as built, and point the function's alias to it.

    Then delete its old versions, each of which keeps a worker. The last one stays: it may have calls to answer.
    """
    functions, package = stack.session.client("lambda"), _package()
    for _, alias in stack.resources("AWS::Lambda::Alias"):
        *_, name, alias_name = alias.split(":")
        version = functions.update_function_code(FunctionName=name, ZipFile=package, Publish=True)["Version"]
        functions.update_alias(FunctionName=name, Name=alias_name, FunctionVersion=version)
        versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
        for number in sorted(int(it["Version"]) for it in versions if it["Version"] != "$LATEST")[:-2]:
            functions.delete_function(FunctionName=name, Qualifier=str(number))


def _update_workflow(stack: Stack, template: Template) -> None:
    """Give each state machine the definition as built; a running execution keeps its own."""
    machines = _state_machines(template)
    for logical_id, arn in stack.resources("AWS::StepFunctions::StateMachine"):
        definition = json.dumps(machines[logical_id]["Definition"])
        for name, value in stack.outputs.items():
            if name.startswith(SUBSTITUTION):
                definition = definition.replace(f"${{{name.removeprefix(SUBSTITUTION)}}}", json.dumps(value)[1:-1])
        stack.session.client("stepfunctions").update_state_machine(stateMachineArn=arn, definition=definition)


def _state_machines(template: Template) -> dict[str, Template]:
    """The properties of each state machine, by its logical id. A substitution has one value in all of them."""
    resources = template["Resources"].items()
    return {name: it["Properties"] for name, it in resources if it["Type"] == "AWS::Serverless::StateMachine"}


def _patched(built: Path) -> tuple[Template, list[Change]]:
    """The template built into a folder, patched for the emulator, and the changes made in it."""
    template: Template = yaml.load((built / "template.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
    return template, patch(template, built)


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
    overrides = [f"{name}={value}" for name, value in parameters.items()]
    sam(
        "deploy",
        *("--template-file", str(path)),
        *("--stack-name", name),
        *("--s3-bucket", ARTIFACTS),
        *("--capabilities", "CAPABILITY_IAM"),
        *(["--parameter-overrides", *overrides] if overrides else []),
        "--no-confirm-changeset",
        "--no-fail-on-empty-changeset",
        "--no-progressbar",
        "--use-json",  # SAM CLI writes and reads YAML slowly
        directory=emulator.folder,
        environment=emulator.credentials(),
    )


def _warm_up(stack: Stack) -> None:
    """Invoke each function with an empty object, which it rejects, to see that it starts. Raises `NotPossible`."""
    functions = stack.session.client("lambda")

    def start(alias: str) -> str | None:
        answer = json.loads(functions.invoke(FunctionName=alias, Payload=b"{}")["Payload"].read())
        failed = isinstance(answer, dict) and str(answer.get("errorType")).startswith("Runtime.")
        return f"{alias}: {answer['errorType']}: {answer['errorMessage']}" if failed else None

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
    title = "Changes to the built template, for the emulator only"
    table = Table("resources", "on this machine", "because the emulator", title=title, title_justify="left", box=SIMPLE)
    for change in changes:
        first, *others = change.where
        where = f"{first} and {len(others)} more" if len(others) >= MANY else "\n".join(change.where)
        table.add_row(where, change.what, change.why)
    return table
