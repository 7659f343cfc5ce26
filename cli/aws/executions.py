"""The workflow's executions, each named by its customerId."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef


def execution_arn(state_machine_arn: str, customer_id: str) -> str:
    """The ARN of the customer's execution, which need not exist."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{customer_id}"


def history(sfn: SFNClient, arn: str) -> list[HistoryEventTypeDef]:
    """The execution's events, oldest first."""
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]
