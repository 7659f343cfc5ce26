"""Reconciles a timeline with its execution: Step Functions' events are best effort, and this finds what they missed.

https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from onboarding.adapters import timelines
from onboarding.adapters.outages import FAILURES, is_transient
from onboarding.adapters.workflow import describe
from onboarding.domain.status import CHANGES, Entry, next_poll, poll_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient

# At most five polls a second, for all customers together: DescribeExecution's quota is ten in most regions, and the
# runbook's commands need it too. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
_BETWEEN_POLLS = timedelta(milliseconds=200)
# Beside them, one a second for ids without entries. Anybody may ask for any id, and takes no poll from the others.
_BETWEEN_UNKNOWN = timedelta(seconds=1)


class ReconciliationFailed(Exception):
    """AWS throttles, fails or is unreachable. The message is the name of its error."""


def reconcile(  # noqa: PLR0913 - its ports
    customer_id: str,
    entries: list[Entry],
    *,
    sfn: SFNClient,
    state_machine_arn: str,
    dynamodb: DynamoDBClient,
    table_name: str,
) -> list[Entry]:
    """Poll a customer's execution, if that is due; keep its change, and return the entries with it.

    Without entries a poll is due too: the execution may have failed before its first event, or the customer is unknown.
    A success is then left to its events, which are on their way and say more: it would stay beside them.

    Raises:
        ReconciliationFailed: it is not repeated before the next one is due.
        botocore.exceptions.ClientError: AWS refused.
    """
    now = datetime.now(UTC)
    due = next_poll(entries, now) if entries else poll_of(customer_id, now)
    if due is None:
        return entries
    claim, pause = (timelines.claim, _BETWEEN_POLLS) if entries else (timelines.claim_unknown, _BETWEEN_UNKNOWN)
    try:
        if not claim(due, pause, dynamodb=dynamodb, table_name=table_name):
            return entries
        change = _change_of(customer_id, sfn, state_machine_arn)
        # Releases up to 1.0 kept an announced change under another eventId.
        if change is None or (change.type, change.occurred_at) in {(it.type, it.occurred_at) for it in entries}:
            return entries
        if not entries and change.type == CHANGES["SUCCEEDED"]:
            return entries
        is_kept = timelines.keep(change, dynamodb=dynamodb, table_name=table_name)
    except FAILURES as error:
        if not is_transient(error):
            raise
        raise ReconciliationFailed(type(error).__name__) from None
    return [*entries, change] if entries or is_kept else []  # not of an erased customer


def _change_of(customer_id: str, sfn: SFNClient, state_machine_arn: str) -> Entry | None:
    """When and how the customer's execution ended or was redriven; None if it did neither, or no longer exists."""
    execution = describe(customer_id, sfn=sfn, state_machine_arn=state_machine_arn)
    if execution is None:
        return None
    status = execution["status"]
    changed_at = execution.get("redriveDate") if status == "RUNNING" else execution.get("stopDate")
    if changed_at is None or status not in CHANGES:
        return None
    output = json.loads(execution.get("output", "{}"))
    outcome = output.get("status")  # a rejection's reason would reveal who is a customer
    reason = output.get("reason") if outcome == "ONBOARDED_WITHOUT_EMAIL" else outcome
    return Entry.of_change(customer_id, status, changed_at, reason=reason, account_id=output.get("accountId"))
