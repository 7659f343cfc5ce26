"""GET /api/customers/{customerId}/onboarding: the onboarding's status."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import timelines
from onboarding.adapters.confirmations import Confirmation
from onboarding.adapters.reconciliation import ReconciliationFailed, reconcile
from onboarding.domain.status import onboarding_from
from onboarding.runtime import api, aws, environment, failures


class Settings(environment.Settings):
    timelines_table: str
    idempotency_table: str
    state_machine_arn: str
    allowed_origin: str


settings = Settings.read()
POLL_AFTER_SECONDS = 2
POLL_WAITING_AFTER_SECONDS = 30
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")
# The answer waits for these, and doesn't depend on them.
best_effort_dynamodb = aws.client("dynamodb", best_effort=True)
sfn = aws.client("stepfunctions", best_effort=True)


@api.endpoint(
    logger,
    allow_origin=settings.allowed_origin,
    refused="Status refused",
    failed="Timeline not read",
    unavailable="The status is temporarily unavailable.",
)
def handler(event: dict[str, Any], context: LambdaContext) -> api.Response:
    """Answer 200 or 304, or a problem: 404, or 503 if AWS is unavailable."""
    customer_id = api.customer_id_in(event)
    logger.append_keys(customer_id=customer_id)
    entries = timelines.entries_of(customer_id, dynamodb=dynamodb, table_name=settings.timelines_table)
    with (
        suppress(*aws.FAILURES, ReconciliationFailed),
        failures.logged(logger, ReconciliationFailed),
    ):  # then what is known counts
        entries = reconcile(
            customer_id,
            entries,
            sfn=sfn,
            state_machine_arn=settings.state_machine_arn,
            dynamodb=best_effort_dynamodb,
            table_name=settings.timelines_table,
        )
    onboarding = onboarding_from(customer_id, entries)
    if not onboarding.timeline:
        raise api.RequestRefused(
            HTTPStatus.NOT_FOUND,
            "No onboarding with this id. If it was accepted a moment ago, try again shortly.",
            retry_after=POLL_AFTER_SECONDS,
        )
    retry_after = POLL_AFTER_SECONDS
    if onboarding.status == "VALIDATED":
        confirmation = Confirmation(customer_id, dynamodb=dynamodb, table_name=settings.idempotency_table)
        if expires_at := confirmation.awaited_until():
            onboarding, retry_after = onboarding.awaiting_confirmation(expires_at), POLL_WAITING_AFTER_SECONDS
    logger.info("Status answered", status=onboarding.status)
    headers = {} if onboarding.has_ended else {"Retry-After": str(retry_after)}
    return api.respond_if_changed(event, onboarding, **headers)
