"""A customer's execution: its state, its history, and what the definition that is deployed calls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cli import NotPossible
from cli.aws.executions import execution_arn
from cli.aws.stack import Stack
from onboarding.domain.registration import Registration

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

# The error of an execution whose account was undone in every system: there is nothing to redrive.
NOT_PROVISIONED = "DownstreamFailed"


class NoExecution(NotPossible):
    """There is no execution of that customer, or none any more."""


def describe(stack: Stack, customer_id: str) -> DescribeExecutionOutputTypeDef:
    """Return Step Functions' description of the customer's execution, whose name is the customerId.

    Raises:
        NoExecution: see there.
    """
    sfn = stack.session.client("stepfunctions")
    try:
        return sfn.describe_execution(executionArn=execution_arn(stack.outputs["StateMachineArn"], customer_id))
    except (sfn.exceptions.ExecutionDoesNotExist, sfn.exceptions.InvalidArn):
        raise NoExecution(
            f"There is no execution of the customer {customer_id}: it may be on its way (a queue falls behind), "
            "or have ended more than 90 days ago"
        ) from None


def definition_of(stack: Stack, arn: str) -> dict[str, Any]:
    """Return the definition by which an execution runs, which may be older than the one that is deployed."""
    sfn = stack.session.client("stepfunctions")
    machine = sfn.describe_state_machine_for_execution(executionArn=arn)
    return dict(json.loads(machine["definition"]))


def closed(stack: Stack, customer_id: str) -> DescribeExecutionOutputTypeDef:
    """Return the description of an execution that has ended.

    Raises:
        NoExecution: see there.
        NotPossible: it is running.
    """
    execution = describe(stack, customer_id)
    if execution["status"] in {"RUNNING", "PENDING_REDRIVE"}:
        raise NotPossible(f"The onboarding of {customer_id} is running: wait until it has ended")
    return execution


def can_be_redriven(execution: DescribeExecutionOutputTypeDef) -> bool:
    """Whether it can be taken up where it failed, to the customer's good."""
    return execution.get("redriveStatus") == "REDRIVABLE" and execution.get("error") != NOT_PROVISIONED


def registration_of(execution: DescribeExecutionOutputTypeDef) -> Registration:
    """Return the registration that started the execution.

    Raises:
        NotPossible: its input is none, since someone started it by hand.
    """
    try:
        return Registration.model_validate_json(execution["input"])
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, it["loc"])) or "all of it" for it in error.errors(include_input=False))
        raise NotPossible(f"The execution {execution['name']} was not started by a registration: {fields}") from None


def call(stack: Stack, state: str, payload: Mapping[str, Any]) -> None:
    """Call the function of a task as the deployed definition does.

    Raises:
        NotPossible: the function failed; the message names the error.
    """
    machine = stack.session.client("stepfunctions").describe_state_machine(
        stateMachineArn=stack.outputs["StateMachineArn"]
    )
    function = _states(json.loads(machine["definition"]))[state]["Arguments"]["FunctionName"]
    answer = stack.session.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload))
    if "FunctionError" in answer:
        error = json.load(answer["Payload"])
        raise NotPossible(f"{state} failed with {error.get('errorType')}: {error.get('errorMessage')}. Try again later")


def _states(machine: Mapping[str, Any]) -> dict[str, Any]:
    """The states of a machine and of its Maps, by name."""
    found = dict(machine["States"])
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            found |= _states(state["ItemProcessor"])
    return found
