"""The workflow with functions that fail on demand: the deployed definition, the real handlers behind a wrapper."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.aws.stack import Stack
from cli.demo.event_recorder import NAME as RECORDER
from cli.downstream.systems import DownstreamSystem
from cli.machine.build import BUILT
from cli.machine.deploy import EmulatorStack
from tests.deployed.definition import TASKS
from tests.deployed.engine.audit import Auditor
from tests.deployed.engine.redrive import redrivable, where_it_failed
from tests.deployed.engine.world import WAITS
from tests.deployed.onboardings import Onboarding, Onboardings
from tests.invocations import a_registration
from tests.wiring.definition import INVOKE, states

WRAPPER = Path(__file__).with_name("faults.py")
NATIVES = Path(__file__).with_name("natives.py")
# Seconds until a hanging function is ended: the template's time-out. No other function takes nearly as long.
FUNCTION_TIMEOUT = 10


@pytest.fixture(scope="module", autouse=True)
def resting_consumers(stack: Stack) -> Iterator[None]:
    """Disable the consumers' rules: these tests run the workflow about a thousand times, and it alone."""
    events, bus = stack.session.client("events"), stack.outputs["EventBusName"]
    rules = [rule["Name"] for rule in events.list_rules(EventBusName=bus)["Rules"] if rule["Name"] != RECORDER]
    for rule in rules:
        events.disable_rule(Name=rule, EventBusName=bus)
    yield
    for rule in rules:
        events.enable_rule(Name=rule, EventBusName=bus)


@dataclass(frozen=True)
class FailingWorkflow:
    """The workflow, with tasks that fail as planned.

    `machine` calls wrapped functions. In each of `stand_ins`, by native task, a function does that task, so that it can
    fail too. `deployed` is the stack's own machine, `alone` has no downstream systems, and `resuming` redrives an
    execution of any of them.
    """

    onboardings: Onboardings
    faults: Path
    machine: str
    stand_ins: Mapping[str, str]
    deployed: str
    alone: str
    resuming: str
    definition: Mapping[str, Any] = field(repr=False)

    def run(
        self, customer: Mapping[str, Any], faults: Mapping[str, Sequence[str]] | None = None, machine: str | None = None
    ) -> Onboarding:
        """Onboard a customer; each task in `faults` meets its faults, one a try (see faults.py)."""
        machine = machine or self.machine
        return self.onboardings.ended(self.start(customer, faults, machine=machine), machine)

    def start(
        self,
        customer: Mapping[str, Any],
        faults: Mapping[str, Sequence[str]] | None = None,
        *,
        machine: str | None = None,
        asks: bool = False,
    ) -> str:
        """Start the onboarding of a customer, who is asked to confirm the address or not; return the customerId."""
        customer_id = str(uuid4())
        for task, plan in (faults or {}).items():
            self._plan(customer_id, task).write_text("".join(f"{fault}\n" for fault in plan), encoding="utf-8")
        self.onboardings.sfn.start_execution(
            stateMachineArn=machine or self.machine,
            name=customer_id,
            input=json.dumps(a_registration(customerId=customer_id, data=customer, asks=asks)),
        )
        return customer_id

    def redrive(self, customer_id: str, machine: str, faults: Iterable[str] = ()) -> None:
        """Redrive the failed execution (see redrive.py), once the tasks in `faults` are mended."""
        for task in faults:
            self._plan(customer_id, task).unlink()
        execution = self.onboardings.await_end(customer_id, machine)
        history = self.onboardings.history(execution["executionArn"])
        self.onboardings.sfn.start_execution(
            stateMachineArn=self.resuming,
            name=customer_id,
            input=json.dumps(json.loads(execution["input"]) | where_it_failed(self.definition, history)),
        )

    def provision(self, task: Mapping[str, Any]) -> dict[str, Any]:
        """Call the function of ProvisionAccount and return what it returns, or its error."""
        inner = self.definition["States"]["ProvisionAccounts"]["ItemProcessor"]["States"]
        name = inner["ProvisionAccount"]["Arguments"]["FunctionName"]
        answer = self.onboardings.stack.session.client("lambda").invoke(FunctionName=name, Payload=json.dumps(task))
        return dict(json.load(answer["Payload"]))

    def faults_met(self, customer_id: str, faults: Mapping[str, Sequence[str]], task: str) -> int:
        """How many of the faults planned for a customer's task were met."""
        if not faults.get(task):
            return 0
        return len(faults[task]) - len(self._plan(customer_id, task).read_text(encoding="utf-8").splitlines())

    def _plan(self, customer_id: str, task: str) -> Path:
        return self.faults / f"{customer_id} {task}"


@pytest.fixture(scope="session")
def workflow(stack: EmulatorStack, onboardings: Onboardings) -> FailingWorkflow:
    """The deployed definition once more, on functions that fail on demand."""
    faults = stack.emulator.folder / "faults"
    faults.mkdir()
    wrap = _wrapper(stack, faults)
    sfn = stack.session.client("stepfunctions")
    deployed = sfn.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])

    def create(name: str, definition: Mapping[str, Any]) -> str:
        made = sfn.create_state_machine(name=name, definition=json.dumps(definition), roleArn=deployed["roleArn"])
        return made["stateMachineArn"]

    failing = json.loads(deployed["definition"])
    for name, state in states(failing, "Task"):
        if not TASKS[name].is_native:
            state["Arguments"]["FunctionName"] = wrap(name, state["Arguments"]["FunctionName"])
        if name in WAITS:  # the emulator ignores that a function failed whose token it waits for
            state |= {"Resource": INVOKE, "TimeoutSeconds": 60}
            state["Arguments"]["Payload"]["taskToken"] = "token"
    asks = "{% $states.context.Execution.Input.asks ? 'required' : 'none' %}"
    failing["States"]["CreateAccount"]["Arguments"]["Payload"]["emailConfirmation"] = asks

    alone = json.loads(deployed["definition"])
    assert "$split('crm,billing,ledger', ',')" in alone["States"]["ProvisionAccounts"]["Items"]
    alone["States"]["ProvisionAccounts"]["Items"] = "{% [$split('', ',')[$ != '']] %}"
    native = wrap("native", None)
    return FailingWorkflow(
        onboardings,
        faults,
        machine=create("customer-onboarding-failing", failing),
        stand_ins={
            name: create(f"failing-{name}", _with_stand_in(failing, name, native))
            for name, task in TASKS.items()
            if task.is_native
        },
        deployed=stack.outputs["StateMachineArn"],
        alone=create("customer-onboarding-alone", alone),
        resuming=create("customer-onboarding-resuming", redrivable(failing)),
        definition=failing,
    )


@pytest.fixture(scope="session")
def auditor(onboardings: Onboardings, systems: Mapping[str, DownstreamSystem]) -> Auditor:
    """Reads what exists of a customer."""
    return Auditor(onboardings, systems)


def _wrapper(stack: Stack, faults: Path) -> Callable[[str, str | None], str]:
    """A function that puts a wrapper around the function of a task, or around native calls, and returns its ARN."""
    iam, functions = stack.session.client("iam"), stack.session.client("lambda")
    role = iam.create_role(RoleName="faults", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    iam.put_role_policy(RoleName="faults", PolicyName="faults", PolicyDocument=json.dumps(everything))
    package = _with_wrapper()

    def wrap(task: str, real: str | None) -> str:
        settings = {"TASK": task, "FAULTS": str(faults), "REAL_HANDLER": "natives.handler"}
        if real:
            configuration = functions.get_function_configuration(FunctionName=real)
            settings |= configuration["Environment"]["Variables"] | {"REAL_HANDLER": configuration["Handler"]}
        return functions.create_function(
            FunctionName=f"failing-{task}",
            Runtime="provided.al2023",
            Handler="faults.handler",
            Role=role,
            Timeout=FUNCTION_TIMEOUT,
            Code={"ZipFile": package},
            Environment={"Variables": settings},
        )["FunctionArn"]

    return wrap


def _with_stand_in(machine: Mapping[str, Any], task: str, function: str) -> dict[str, Any]:
    """The machine, with this function in place of a native task."""
    changed = deepcopy(dict(machine))
    state = changed["States"][task]
    state["Resource"] = "arn:aws:states:::lambda:invoke"
    state["Arguments"] = {
        "FunctionName": function,
        "Payload": {
            "customerId": "{% $states.context.Execution.Name %}",
            "task": task,
            "integration": TASKS[task].integration,
            "arguments": state["Arguments"],
        },
    }
    return changed


def _with_wrapper() -> bytes:
    """The package that the stack's functions share, and the wrapper in it."""
    (package,) = BUILT.glob("*.zip")
    content = io.BytesIO(package.read_bytes())
    with zipfile.ZipFile(content, "a") as archive:
        for module in (WRAPPER, NATIVES):
            archive.write(module, module.name)
    return content.getvalue()
