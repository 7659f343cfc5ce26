"""Take failed executions up where they failed, all of them: once the cause is mended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table

from cli.operate.columns import columns
from cli.operate.execution import NOT_PROVISIONED

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

    from cli.aws.stack import Stack

UNSUCCESSFUL: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")
# RedriveExecution shares its rate with StartExecution, and what failed together would fail together again.
PAUSE_SECONDS = 0.1


class Failure(NamedTuple):
    """An execution that ended without success; `obstacle` says why it isn't redriven, and is empty where it can be."""

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
                if error == NOT_PROVISIONED:
                    obstacle = "its account was undone: reregister it"
                elif described.get("redriveStatus") != "REDRIVABLE":
                    obstacle = described.get("redriveStatusReason", "Step Functions doesn't say that it can")
                yield Failure(listed["name"], listed["executionArn"], status, error, listed["stopDate"], obstacle)


def table(failures: Iterable[Failure], success: str) -> Table:
    """Lay failures out in the order in which they ended; `success` is what is said of one without an obstacle."""
    laid_out = columns("customer", "ended", "status", "error", "")
    for failure in sorted(failures, key=lambda it: it.stopped):
        ended = f"{failure.stopped:%Y-%m-%d %H:%M:%S}"
        laid_out.add_row(failure.customer_id, ended, failure.status, failure.error, failure.obstacle or success)
    return laid_out


def redrive(stack: Stack, failure: Failure) -> Failure:
    """Take one up at the state that failed; return it, with the obstacle if another was faster or its days are over.

    Raises:
        botocore.exceptions.ClientError: Step Functions refused this one, and would refuse all others.
    """
    sfn = stack.session.client("stepfunctions")
    try:
        sfn.redrive_execution(executionArn=failure.arn)
    except (sfn.exceptions.ExecutionNotRedrivable, sfn.exceptions.ExecutionDoesNotExist) as error:
        return failure._replace(obstacle=error.response["Error"]["Message"])
    time.sleep(PAUSE_SECONDS)
    return failure
