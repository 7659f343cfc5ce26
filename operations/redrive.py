"""Take failed executions up where they failed, all of them: once the cause is mended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from operations.execution import UNDONE

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

    from operations.stack import Stack

UNSUCCESSFUL: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")
# RedriveExecution shares its rate with StartExecution, and what failed together would fail together again.
PAUSE_SECONDS = 0.1


class Failure(NamedTuple):
    """An execution that ended without success; `obstacle` says why it can't be redriven, and is empty where it can."""

    customer_id: str
    arn: str
    status: str
    error: str
    stopped: datetime
    obstacle: str


def failures(stack: Stack, since: datetime | None = None) -> Iterator[Failure]:
    """The executions that failed, timed out or were aborted, since then or at all."""
    sfn = stack.session.client("stepfunctions")
    for status in UNSUCCESSFUL:
        pages = sfn.get_paginator("list_executions")
        for page in pages.paginate(stateMachineArn=stack.outputs["StateMachineArn"], statusFilter=status):
            for listed in page["executions"]:
                if since and listed["stopDate"] < since:
                    continue
                described = sfn.describe_execution(executionArn=listed["executionArn"])
                error = described.get("error", "")
                obstacle = ""
                if error == UNDONE:
                    obstacle = "its account was undone: register it anew"
                elif described.get("redriveStatus") != "REDRIVABLE":
                    obstacle = described.get("redriveStatusReason", "Step Functions doesn't say that it can")
                yield Failure(listed["name"], listed["executionArn"], status, error, listed["stopDate"], obstacle)


def redrive(stack: Stack, failure: Failure) -> None:
    """Take one up at the state that failed.

    Raises:
        botocore.exceptions.ClientError: Step Functions refused.
    """
    stack.session.client("stepfunctions").redrive_execution(executionArn=failure.arn)
    time.sleep(PAUSE_SECONDS)
