"""Customers' executions: find them, redrive failed ones, call a task's function."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from cli import NotPossible
from cli.aws.stack import Stack
from onboarding.adapters import accounts, timelines
from onboarding.adapters.confirmations import Confirmation
from onboarding.adapters.workflow import execution_arn
from onboarding.domain.errors import AccountErased
from onboarding.domain.registration import Registration
from onboarding.domain.status import Onboarding, onboarding_from

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef, HistoryEventTypeDef

    Execution = DescribeExecutionOutputTypeDef

RUNNING = ("RUNNING", "PENDING_REDRIVE")
UNSUCCESSFUL: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")
# RedriveExecution shares its quota with StartExecution, and a burst of redrives would fail together again.
PAUSE_SECONDS = 0.1
# The error of a compensated execution.
DOWNSTREAM_FAILED = "DownstreamFailed"
# The errors after which a redrive is of no use.
OVER = {
    DOWNSTREAM_FAILED: "compensated: reregister the customer",
    "AccountCancelled": "cancelled: reregister the customer",
    "EmailUnconfirmed": "e-mail unknown: complete the customer",  # not caught by a definition of release 1.0
}
# Where an execution fails that itself has cancelled the account: a redrive goes on there.
CANCELLING = {"CancelAccount", "PublishDownstreamFailed", "DownstreamFailed"}


class NoExecution(NotPossible):
    """The customer has no execution, or it was deleted."""


class StillRunning(NotPossible):
    """The customer's execution has not ended."""


class TaskFailed(NotPossible):
    """A task's function failed with this error."""

    def __init__(self, state: str, error: str, message: str) -> None:
        super().__init__(f"{state} failed with {error}: {message}. Try again later")
        self.error = error


def describe(stack: Stack, customer_id: str) -> Execution:
    """Return Step Functions' description of the customer's execution. Raises `NoExecution`."""
    sfn = stack.session.client("stepfunctions")
    try:
        return sfn.describe_execution(executionArn=execution_arn(stack.outputs["StateMachineArn"], customer_id))
    except (sfn.exceptions.ExecutionDoesNotExist, sfn.exceptions.InvalidArn):
        raise NoExecution(
            f"No execution for the customer {customer_id}: the registration may still be in a queue, "
            "or the execution ended more than 90 days ago"
        ) from None


def closed(stack: Stack, customer_id: str) -> Execution:
    """Return the description of an execution that has ended.

    Raises:
        StillRunning, NoExecution: it has not ended, or there is none.
    """
    execution = describe(stack, customer_id)
    if execution["status"] in RUNNING:
        raise StillRunning(f"The onboarding of {customer_id} is still running: wait until it has ended")
    return execution


def obstacle(stack: Stack, execution: Execution) -> str:
    """Return why a redrive is impossible or useless, or an empty string."""
    if over := OVER.get(execution.get("error", "")):
        return over
    status = account_status(stack, execution["name"])
    if status == "ERASED":
        return "the customer was erased"
    if status == "CANCELLED" and _last_state(stack, execution) not in CANCELLING:
        return "released: reregister the customer"
    if execution.get("redriveStatus") != "REDRIVABLE":
        return execution.get("redriveStatusReason", "not redrivable")
    return ""


def account_status(stack: Stack, customer_id: str) -> str | None:
    """Return the status of the customer's account, if there is any: ERASED for an erased customer."""
    dynamodb = stack.session.client("dynamodb")
    return accounts.status_of(customer_id, dynamodb=dynamodb, table_name=stack.outputs["CustomersTableName"])


def _last_state(stack: Stack, execution: Execution) -> str:
    history = stack.session.client("stepfunctions").get_paginator("get_execution_history")
    pages = history.paginate(executionArn=execution["executionArn"], reverseOrder=True)
    entered = (event.get("stateEnteredEventDetails") for page in pages for event in page["events"])
    return next((it["name"] for it in entered if it), "")


def history(sfn: SFNClient, arn: str) -> list[HistoryEventTypeDef]:
    """An execution's events, oldest first."""
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]


def systems_of(stack: Stack, execution: Execution) -> set[str]:
    """Return the downstream systems that were configured when the execution started: its definition names them."""
    sfn = stack.session.client("stepfunctions")
    machine = sfn.describe_state_machine_for_execution(executionArn=execution["executionArn"])
    items = json.loads(machine["definition"])["States"]["ProvisionAccounts"]["Items"]
    return {name for name in items.split("'")[1].split(",") if name}


def end_wait(stack: Stack, customer_id: str) -> bool:
    """If an execution waits for a customer, who is to be erased, have it end; return whether it does. May be repeated.

    One write decides between this and a confirmation at the same moment, and no code works after it. Between two tries
    or two waits no task holds the token: the next one meets that write, and the execution ends there.
    """
    sfn, dynamodb = stack.session.client("stepfunctions"), stack.session.client("dynamodb")
    table = dict(stack.resources("AWS::DynamoDB::Table"))["IdempotencyTable"]
    token = Confirmation(customer_id, dynamodb=dynamodb, table_name=table).withdraw()
    if token is None:  # an earlier call may have erased the customer, and the next task not have met that yet
        return account_status(stack, customer_id) == "ERASED"
    # AWS refuses a token that is used or timed out; the emulator doesn't know it any more.
    # https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html
    with suppress(sfn.exceptions.TaskTimedOut, sfn.exceptions.InvalidToken, sfn.exceptions.TaskDoesNotExist):
        sfn.send_task_failure(taskToken=token, error=AccountErased.__name__, cause="The customer is being erased")
    return True


def outcome(execution: Execution) -> str:
    """Return the status in the execution's output, such as ONBOARDED, or an empty string."""
    return str(json.loads(execution.get("output", "{}")).get("status", ""))


def tracked(stack: Stack, customer_id: str) -> Onboarding | None:
    """Return the onboarding as its timeline, which outlives the execution, shows it; None without that consumer."""
    tables = dict(stack.resources("AWS::DynamoDB::Table"))
    if "TimelinesTable" not in tables:
        return None
    dynamodb = stack.session.client("dynamodb")
    entries = timelines.entries_of(customer_id, dynamodb=dynamodb, table_name=tables["TimelinesTable"])
    return onboarding_from(customer_id, entries)


def failures(stack: Stack, since: datetime) -> Iterator[Execution]:
    """The executions that failed, timed out or were aborted since then."""
    sfn = stack.session.client("stepfunctions")
    for status in UNSUCCESSFUL:
        pages = sfn.get_paginator("list_executions")
        for page in pages.paginate(stateMachineArn=stack.outputs["StateMachineArn"], statusFilter=status):
            for listed in page["executions"]:
                if listed["stopDate"] >= since:
                    yield sfn.describe_execution(executionArn=listed["executionArn"])


def redrive(stack: Stack, failed: Execution, *, aborted: bool, dry_run: bool) -> None:
    """Redrive an execution. Raises `NotPossible`: it is useless, running, too late, or `aborted` isn't meant."""
    if failed["status"] == "ABORTED" and not aborted:
        raise NotPossible("aborted by hand: redriven only with --aborted")
    if reason := obstacle(stack, failed):
        raise NotPossible(reason)
    if dry_run:
        return
    sfn = stack.session.client("stepfunctions")
    try:
        sfn.redrive_execution(executionArn=failed["executionArn"])
    except (sfn.exceptions.ExecutionNotRedrivable, sfn.exceptions.ExecutionDoesNotExist) as error:
        raise NotPossible(error.response["Error"]["Message"]) from None
    time.sleep(PAUSE_SECONDS)


def stop(stack: Stack, customer_id: str, error: str) -> None:
    """Stop the customer's execution, which raises an alarm, unless it has just ended."""
    sfn, arn = stack.session.client("stepfunctions"), execution_arn(stack.outputs["StateMachineArn"], customer_id)
    with suppress(sfn.exceptions.ValidationException):
        sfn.stop_execution(executionArn=arn, error=error)


def erase(stack: Stack, task: Mapping[str, Any], deadline: float = math.inf) -> None:
    """Start the erasure of a customer, or continue the one that failed, and wait for its end.

    Its name is the customerId, so there is one. Raises `NotPossible` if it fails, or runs on at the deadline, which is
    a time of `time.monotonic`.
    """
    sfn, machine = stack.session.client("stepfunctions"), stack.outputs["ErasureStateMachineArn"]
    arn = execution_arn(machine, task["customerId"])
    try:
        sfn.start_execution(stateMachineArn=machine, name=task["customerId"], input=json.dumps(task))
    except sfn.exceptions.ExecutionAlreadyExists:
        if sfn.describe_execution(executionArn=arn)["status"] in UNSUCCESSFUL:
            sfn.redrive_execution(executionArn=arn)
    while (erasure := sfn.describe_execution(executionArn=arn))["status"] in RUNNING:
        if time.monotonic() > deadline:
            raise NotPossible("The erasure takes long, and runs on")
        time.sleep(PAUSE_SECONDS)
    if erasure["status"] != "SUCCEEDED":
        raise NotPossible(f"The erasure failed with {erasure.get('error')}. Fix the cause and repeat the command")


def registration_of(execution: Execution) -> Registration:
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


def call(stack: Stack, state: str, payload: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """Call the function of a task, as deployed, and return its answer. Raises `TaskFailed`."""
    sfn = stack.session.client("stepfunctions")
    machine = sfn.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])
    states = json.loads(machine["definition"])["States"]
    for it in [*states.values()]:
        states |= it.get("ItemProcessor", {}).get("States", {})
    function = states[state]["Arguments"]["FunctionName"]
    answer = stack.session.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload))
    said = json.load(answer["Payload"])
    if answer.get("FunctionError"):
        raise TaskFailed(state, said.get("errorType", ""), said.get("errorMessage", ""))
    return said
