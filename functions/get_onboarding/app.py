"""GET /api/customers/{customerId}/onboarding: how far the onboarding has come."""

import os
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters import timelines
from onboarding.domain.status import Onboarding, onboarding_from
from onboarding.runtime import aws, failures
from onboarding.runtime.api import RequestRefused, customer_id_in, respond, respond_if_changed

ALLOWED_ORIGIN = os.environ["ALLOWED_ORIGIN"]
TABLE_NAME = os.environ["TIMELINES_TABLE"]
POLL_AFTER_SECONDS = 2
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer 200 or 304, or a problem: 404, and 503 where AWS is out of reach."""
    logger.append_keys(correlation_id=event["requestContext"]["requestId"])
    try:
        onboarding = find(customer_id_in(event))
    except RequestRefused as refused:
        logger.info("Status refused", status=refused.problem.status, reason=refused.problem.detail)
        return respond(refused.problem.status, refused.problem, allow_origin=ALLOWED_ORIGIN, **refused.headers)
    logger.info("Status answered", status=onboarding.status)
    headers = {} if onboarding.has_ended else {"Retry-After": str(POLL_AFTER_SECONDS)}
    return respond_if_changed(event, onboarding, allow_origin=ALLOWED_ORIGIN, **headers)


def find(customer_id: str) -> Onboarding:
    """Return the customer's onboarding.

    Raises:
        RequestRefused: 404 or 503.
    """
    logger.append_keys(customer_id=customer_id)
    try:
        entries = timelines.entries_of(customer_id, dynamodb=dynamodb, table_name=TABLE_NAME)
    except aws.FAILURES:
        logger.exception("Timeline not read")
        raise RequestRefused(
            HTTPStatus.SERVICE_UNAVAILABLE, "The status can't be told at present", retry_after=5
        ) from None
    if not entries:
        raise RequestRefused(
            HTTPStatus.NOT_FOUND,
            "No such onboarding; of one that was accepted just now, nothing is known yet",
            retry_after=POLL_AFTER_SECONDS,
        )
    return onboarding_from(customer_id, entries)
