"""Customers' executions: find them, redrive failed ones, call a task's function."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cli import NotPossible
from cli.aws.executions import execution_arn
from cli.aws.stack import Stack
from onboarding.domain.registration import Registration

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

UNSUCCESSFUL: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")
# RedriveExecution shares its quota with StartExecution, and a burst of redrives would fail together again.
PAUSE_SECONDS = 0.1
# The error of a compensated execution: there is nothing to redrive.
DOWNSTREAM_FAILED = "DownstreamFailed"


class NoExecution(NotPossible):
    """The customer has no execution, or it was deleted."""


def describe(stack: Stack, customer_id: str) -> DescribeExecutionOutputTypeDef:
    """Return Step Functions' description of the customer's execution. Raises `NoExecution`."""
    sfn = stack.session.client("stepfunctions")
    try:
        return sfn.describe_execution(executionArn=execution_arn(stack.outputs["StateMachineArn"], customer_id))
    except (sfn.exceptions.ExecutionDoesNotExist, sfn.exceptions.InvalidArn):
        raise NoExecution(
            f"No execution for the customer {customer_id}: the registration may still be in a queue, "
            "or the execution ended more than 90 days ago"
        ) from None


def closed(stack: Stack, customer_id: str) -> DescribeExecutionOutputTypeDef:
    """Return the description of an execution that has ended.

    Raises:
        NotPossible: it is still running, or there is none (`NoExecution`).
    """
    execution = describe(stack, customer_id)
    if execution["status"] in {"RUNNING", "PENDING_REDRIVE"}:
        raise NotPossible(f"The onboarding of {customer_id} is still running: wait until it has ended")
    return execution


def obstacle(execution: DescribeExecutionOutputTypeDef) -> str:
    """Return why a redrive is impossible or useless, or an empty string."""
    if execution.get("error") == DOWNSTREAM_FAILED:
        return "compensated: reregister the customer"
    if execution.get("redriveStatus") != "REDRIVABLE":
        return execution.get("redriveStatusReason", "not redrivable")
    return ""


def failures(stack: Stack, since: datetime) -> Iterator[DescribeExecutionOutputTypeDef]:
    """The executions that failed, timed out or were aborted since then."""
    sfn = stack.session.client("stepfunctions")
    for status in UNSUCCESSFUL:
        pages = sfn.get_paginator("list_executions")
        for page in pages.paginate(stateMachineArn=stack.outputs["StateMachineArn"], statusFilter=status):
            for listed in page["executions"]:
                if listed["stopDate"] >= since:
                    yield sfn.describe_execution(executionArn=listed["executionArn"])


def redrive(stack: Stack, failed: DescribeExecutionOutputTypeDef) -> str:
    """Redrive an execution; return the obstacle if it is already running, or past the redrive window."""
    sfn = stack.session.client("stepfunctions")
    try:
        sfn.redrive_execution(executionArn=failed["executionArn"])
    except (sfn.exceptions.ExecutionNotRedrivable, sfn.exceptions.ExecutionDoesNotExist) as error:
        return error.response["Error"]["Message"]
    time.sleep(PAUSE_SECONDS)
    return ""


def registration_of(execution: DescribeExecutionOutputTypeDef) -> Registration:
    """Return the registration that started the execution.

    Raises:
        NotPossible: it was started by hand, with other input.
    """
    try:
        return Registration.model_validate_json(execution["input"])
    except ValidationError as error:
        fields = ", ".join(
            ".".join(map(str, it["loc"])) or "the whole input" for it in error.errors(include_input=False)
        )
        raise NotPossible(f"The execution {execution['name']} was not started by a registration: {fields}") from None


def call(stack: Stack, state: str, payload: Mapping[str, Any]) -> None:
    """Call the function of a task, as deployed. Raises `NotPossible`."""
    sfn = stack.session.client("stepfunctions")
    machine = sfn.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])
    states = json.loads(machine["definition"])["States"]
    for it in [*states.values()]:
        states |= it.get("ItemProcessor", {}).get("States", {})
    function = states[state]["Arguments"]["FunctionName"]
    answer = stack.session.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload))
    if "FunctionError" in answer:
        error = json.load(answer["Payload"])
        raise NotPossible(f"{state} failed with {error.get('errorType')}: {error.get('errorMessage')}. Try again later")
