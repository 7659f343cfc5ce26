"""The workflow with functions that fail on demand: the deployed definition, the real handlers behind a wrapper."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from local.build import BUILT
from local.deploy import Stack
from tests.definition import FAILING_MACHINE
from tests.onboardings import Onboarding, Onboardings

FAULTS_TABLE = "faults"
WRAPPER = Path(__file__).with_name("faults.py")


@dataclass(frozen=True)
class FailingWorkflow:
    """The workflow, whose tasks fail as a test plans it.

    `functions` are the handlers of the tasks by the name of their state.
    """

    onboardings: Onboardings
    machine: str
    functions: Mapping[str, str] = field(repr=False)

    def run(
        self,
        customer: Mapping[str, Any],
        faults: Mapping[str, Sequence[str]] | None = None,
        *,
        test_case: str = "",
    ) -> Onboarding:
        """Onboard a customer; the task of each state in `faults` meets these, one a try (see faults.py).

        `test_case` names one of Step Functions' mocks (see tests/conftest.py).
        """
        customer_id = str(uuid4())
        session = self.onboardings.stack.session
        for state, plan in (faults or {}).items():
            session.client("dynamodb").put_item(
                TableName=FAULTS_TABLE,
                Item={
                    "pk": {"S": f"{customer_id}/{self.functions[state]}"},
                    "plan": {"L": [{"S": fault} for fault in plan]},
                },
            )
        session.client("stepfunctions").start_execution(
            stateMachineArn=f"{self.machine}#{test_case}" if test_case else self.machine,
            name=customer_id,
            input=json.dumps(
                {
                    "eventType": "CustomerRegistered",
                    "timestamp": datetime.now(UTC).isoformat(),
                    "customerId": customer_id,
                    "correlationId": str(uuid4()),
                    "data": customer,
                }
            ),
        )
        return self.onboardings.ended(customer_id, self.machine)


@pytest.fixture(scope="session")
def workflow(stack: Stack, onboardings: Onboardings) -> FailingWorkflow:
    """The deployed definition once more, on functions that fail on demand."""
    session = stack.session
    session.client("dynamodb").create_table(
        TableName=FAULTS_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    iam, functions, sfn = session.client("iam"), session.client("lambda"), session.client("stepfunctions")
    role = iam.create_role(RoleName="faults", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    everything = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
    iam.put_role_policy(RoleName="faults", PolicyName="faults", PolicyDocument=json.dumps(everything))

    deployed = sfn.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])
    definition = json.loads(deployed["definition"])
    handlers = {}
    for name, state in definition["States"].items():
        if "lambda:invoke" not in state.get("Resource", ""):
            continue
        real = functions.get_function_configuration(FunctionName=state["Arguments"]["FunctionName"])
        wrapped = functions.create_function(
            FunctionName=f"failing-{name}",
            Runtime="provided.al2023",
            Handler="faults.handler",
            Role=role,
            Timeout=3,
            Code={"ZipFile": _with_wrapper()},
            Environment={
                "Variables": real["Environment"]["Variables"]
                | {"REAL_HANDLER": real["Handler"], "FAULTS_TABLE": FAULTS_TABLE}
            },
        )
        state["Arguments"]["FunctionName"] = wrapped["FunctionArn"]
        handlers[name] = real["Handler"]
    machine = sfn.create_state_machine(
        name=FAILING_MACHINE, definition=json.dumps(definition), roleArn=deployed["roleArn"]
    )
    return FailingWorkflow(onboardings, machine["stateMachineArn"], handlers)


def _with_wrapper() -> bytes:
    """The package that the stack's functions share, and the wrapper in it."""
    (package,) = BUILT.glob("*.zip")
    content = io.BytesIO(package.read_bytes())
    with zipfile.ZipFile(content, "a") as archive:
        archive.write(WRAPPER, WRAPPER.name)
    return content.getvalue()
