"""The real `sam deploy` of the project's template to an emulator."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

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
STATE_MACHINE = "CustomerOnboardingStateMachine"
DEFINITION = BUILT / "customer_onboarding.asl.json"
# The outputs that have what is put into the definition, for the next time that it is rendered.
SUBSTITUTION = "Substituted"
SENDER = "welcome@example.com"
ARTIFACTS = "artifacts"
# In the emulator's folder: the digests of what the stack is deployed from.
PARTS = "parts.json"
SILENT = Console(quiet=True)


@dataclass(frozen=True)
class EmulatorStack(Stack):
    """The stack on an emulator, with a session as the account's root user."""

    emulator: Emulator

    @classmethod
    def on(cls, emulator: Emulator) -> EmulatorStack:
        return cls(emulator.session, STACK_NAME, emulator)

    @property
    def api_url(self) -> str:
        """Where the API answers here; on AWS it is the output ApiUrl."""
        api, stage = self.outputs["RestApiId"], self.outputs["StageName"]
        return f"{self.emulator.endpoint_url}/_aws/execute-api/{api}/{stage}"


class FunctionsBroken(NotPossible):
    """Functions that don't start; the message has what each of them said."""


def deploy(emulator: Emulator, console: Console = SILENT, systems: Sequence[SystemConfiguration] = ()) -> EmulatorStack:
    """Build the template where its inputs changed, deploy it, and start each function once.

    `systems` are the downstream systems in which each customer gets an account. What is done, and what is
    changed for the emulator, is printed to `console`. Raises `SamFailed` with all that SAM CLI said, and
    `FunctionsBroken`.
    """
    template, changes, parts = _build(console)
    console.print(_as_table(changes))
    with _step(console, "sam deploy"):
        system_configuration.configure(emulator.session, STACK_NAME, systems)
        emulator.session.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        emulator.session.client("s3").create_bucket(Bucket=ARTIFACTS)
        parameters = {"SenderEmail": SENDER} | system_configuration.template_parameters(systems)
        _sam_deploy(emulator, STACK_NAME, template, parameters)
    stack = EmulatorStack.on(emulator)
    with _step(console, "warm up"):
        _warm_up(stack)
    _remember(stack, parts)
    return stack


def update(stack: EmulatorStack, console: Console) -> bool:
    """Deploy what has changed since the stack was deployed; its data stays. Returns whether anything had changed.

    Raises what `deploy` raises.
    """
    template, _, parts = _build(console)
    record = stack.emulator.folder / PARTS
    before = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    changed = {name for name, part in parts.items() if part != before.get(name)}
    # An update that fails half-way is done again.
    _remember(stack, {name: part for name, part in before.items() if name not in changed})
    if "template" in changed:
        with _step(console, "sam deploy"):
            _sam_deploy(stack.emulator, STACK_NAME, template, {})
        stack = EmulatorStack.on(stack.emulator)
    # CloudFormation doesn't know what came after it: code that it deployed last is no change to it.
    if "code" in changed:
        with _step(console, "functions"):
            _update_functions(stack)
    if "definition" in changed:
        with _step(console, "workflow"):
            _update_definition(stack)
    if changed & {"template", "code"}:
        with _step(console, "warm up"):
            _warm_up(stack)
    _remember(stack, parts)
    return bool(changed)


def _remember(stack: EmulatorStack, parts: Mapping[str, str]) -> None:
    """Write down what the stack is deployed from, for the next `update`."""
    (stack.emulator.folder / PARTS).write_text(json.dumps(parts), encoding="utf-8")


def _build(console: Console) -> tuple[Template, list[Change], dict[str, str]]:
    """The template for the emulator, what was changed in it, and the SHA-256 of each part of the stack."""
    with _step(console, "sam build") as step:
        if not build():
            step.append("unchanged")
    template, changes = _patched(BUILT)
    substitutions = template["Resources"][STATE_MACHINE]["Properties"]["DefinitionSubstitutions"]
    template["Outputs"] |= {f"{SUBSTITUTION}{name}": {"Value": value} for name, value in substitutions.items()}
    parts = {"template": json.dumps(template).encode(), "code": _code(), "definition": DEFINITION.read_bytes()}
    return template, changes, {name: sha256(part).hexdigest() for name, part in parts.items()}


def _patched(built: Path) -> tuple[Template, list[Change]]:
    """The template that was built into a folder, as the emulator takes it, and what was changed in it."""
    return patch(yaml.load((built / "template.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader), built)


def _code() -> bytes:
    """The zip file that all functions share."""
    (package,) = BUILT.glob("*.zip")
    return package.read_bytes()


def _update_functions(stack: Stack) -> None:
    """Publish a version of each function with the code that was built, and have its alias point to it.

    Of the former versions the last one stays, for the calls that it has yet to answer; each keeps a worker.
    """
    functions, code = stack.session.client("lambda"), _code()
    for alias in _aliases(stack):
        *_, name, alias_name = alias.split(":")
        version = functions.update_function_code(FunctionName=name, ZipFile=code, Publish=True)["Version"]
        functions.update_alias(FunctionName=name, Name=alias_name, FunctionVersion=version)
        versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
        numbers = sorted(int(it["Version"]) for it in versions if it["Version"] != "$LATEST")
        for number in numbers[:-2]:
            functions.delete_function(FunctionName=name, Qualifier=str(number))


def _update_definition(stack: Stack) -> None:
    """Give the state machine the definition that was built; an execution that runs keeps its own."""
    definition = DEFINITION.read_text(encoding="utf-8")
    for name, value in stack.outputs.items():
        if name.startswith(SUBSTITUTION):
            definition = definition.replace(f"${{{name.removeprefix(SUBSTITUTION)}}}", json.dumps(value)[1:-1])
    machine = stack.outputs["StateMachineArn"]
    stack.session.client("stepfunctions").update_state_machine(stateMachineArn=machine, definition=definition)


def deploy_beside(stack: EmulatorStack, name: str, template: Path, parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Build and deploy another application beside the stack; return its outputs. Raises `SamFailed`."""
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
        directory=emulator.folder,
        environment=emulator.credentials(),
    )


def _warm_up(stack: Stack) -> None:
    """Invoke each function with an empty object, which it refuses: it has started. Raises `FunctionsBroken`.

    As many at a time as there are processors: more would only wait for one another.
    """
    functions = stack.session.client("lambda")

    def start(alias: str) -> str | None:
        answer = json.loads(functions.invoke(FunctionName=alias, Payload=b"{}")["Payload"].read())
        failed = isinstance(answer, dict) and str(answer.get("errorType")).startswith("Runtime.")
        return f"{alias}: {answer['errorType']}: {answer['errorMessage']}" if failed else None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        broken = [failure for failure in pool.map(start, _aliases(stack)) if failure]
    if broken:
        raise FunctionsBroken("\n".join(["These functions don't start:", *broken]))


def _aliases(stack: Stack) -> list[str]:
    """The functions' aliases, by which they are called, as ARNs."""
    return [arn for _, arn in stack.resources("AWS::Lambda::Alias")]


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
