"""GET /api/analytics/onboarding: the funnel, the reasons and the times of each day of a period."""

import os
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters.analytics import counters
from onboarding.domain.analytics import Analytics, analytics
from onboarding.runtime import aws, failures
from onboarding.runtime.api import RequestRefused, period_in, respond, respond_if_changed

ALLOWED_ORIGIN = os.environ["ALLOWED_ORIGIN"]
TABLE_NAME = os.environ["ANALYTICS_TABLE"]
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer 200 or 304, or a problem: 400, and 503 where AWS is out of reach."""
    logger.append_keys(correlation_id=event["requestContext"]["requestId"])
    try:
        answer = read(event)
    except RequestRefused as refused:
        logger.info("Analytics refused", status=refused.problem.status, reason=refused.problem.detail)
        return respond(refused.problem.status, refused.problem, allow_origin=ALLOWED_ORIGIN, **refused.headers)
    logger.info("Analytics answered", days=len(answer.days))
    return respond_if_changed(event, answer, allow_origin=ALLOWED_ORIGIN)


def read(event: dict[str, Any]) -> Analytics:
    """Return the analytics of the period that the request asks for.

    Raises:
        RequestRefused: 400 or 503.
    """
    first, last = period_in(event, today=datetime.now(UTC).date())
    try:
        return analytics(counters(first, last, dynamodb=dynamodb, table_name=TABLE_NAME))
    except aws.FAILURES:
        logger.exception("Analytics not read")
        raise RequestRefused(
            HTTPStatus.SERVICE_UNAVAILABLE, "The analytics can't be read at present", retry_after=5
        ) from None
