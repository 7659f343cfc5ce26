"""The workflow: one execution for each registration."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from onboarding.adapters.outages import FAILURES, is_transient

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

    from onboarding.domain.registration import Registration


# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_LONGEST_TRACE_HEADER = 256


def execution_arn(state_machine_arn: str, customer_id: str) -> str:
    """The ARN of the customer's execution, which need not exist."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{customer_id}"


def start_execution(
    registration: Registration, *, trace_header: str | None, sfn: SFNClient, state_machine_arn: str
) -> bool:
    """Start the execution of a registration. Its name is the customerId, so there is never a second one.

    Returns True if this call started it or it is running with the same input; False if the name is taken.

    Raises:
        botocore.exceptions.ClientError: Step Functions refused.
    """
    execution_input = registration.model_dump_json(by_alias=True, exclude_none=True)
    trace = {"traceHeader": trace_header} if trace_header and len(trace_header) <= _LONGEST_TRACE_HEADER else {}
    try:
        sfn.start_execution(
            stateMachineArn=state_machine_arn, name=registration.customer_id, input=execution_input, **trace
        )
    except sfn.exceptions.ExecutionAlreadyExists:
        return False
    return True


def complete_task(task_token: str, *, sfn: SFNClient) -> None:
    """Let the execution that waits with this token go on, unless it has gone on already.

    AWS refuses a token that is used or timed out; the emulator doesn't know it any more.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html

    Raises:
        botocore.exceptions.ClientError: Step Functions refused for another reason.
    """
    with suppress(sfn.exceptions.TaskTimedOut, sfn.exceptions.InvalidToken, sfn.exceptions.TaskDoesNotExist):
        sfn.send_task_success(taskToken=task_token, output="{}")


def describe(customer_id: str, *, sfn: SFNClient, state_machine_arn: str) -> DescribeExecutionOutputTypeDef | None:
    """Describe the customer's execution; None if there is none.

    Raises:
        botocore.exceptions.ClientError, ConnectionError, HTTPClientError: AWS refused, or is unreachable.
    """
    try:
        return sfn.describe_execution(executionArn=execution_arn(state_machine_arn, customer_id))
    except sfn.exceptions.ExecutionDoesNotExist:
        return None


class Outcomes:
    """How executions ended.

    Each instance of a function asks at most once in five seconds: DescribeExecution's quota is ten a second in most
    regions, and anybody may cause this call. The client is made only for it, since a cold start seldom needs one.
    https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    """

    def __init__(self, make_client: Callable[[], SFNClient], state_machine_arn: str) -> None:
        self._make_client = make_client
        self._state_machine_arn = state_machine_arn
        self._sfn: SFNClient | None = None
        self._not_before = 0.0

    def of(self, customer_id: str) -> str | None:
        """Return FAILED, TIMED_OUT, ABORTED, or the status in the output of a success, such as REJECTED.

        None if the execution runs or doesn't exist, or if Step Functions can't be asked now.

        Raises:
            botocore.exceptions.ClientError: AWS refused.
        """
        if time.monotonic() < self._not_before:
            return None
        self._not_before = time.monotonic() + 5
        sfn = self._sfn = self._sfn or self._make_client()
        try:
            execution = describe(customer_id, sfn=sfn, state_machine_arn=self._state_machine_arn)
        except FAILURES as error:
            if not is_transient(error):
                raise
            return None
        if execution is None or execution["status"] == "RUNNING":
            return None
        if execution["status"] == "SUCCEEDED":
            return str(json.loads(execution["output"])["status"])
        return execution["status"]
