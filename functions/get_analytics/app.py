"""GET /api/analytics/onboarding: the funnel of each day of a period, with reasons and times."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters.analytics import counters
from onboarding.domain.analytics import analytics
from onboarding.runtime import api, aws, environment


class Settings(environment.Settings):
    analytics_table: str
    allowed_origin: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
dynamodb = aws.client("dynamodb")


@api.endpoint(
    logger,
    allow_origin=settings.allowed_origin,
    refused="Analytics refused",
    failed="Analytics not read",
    unavailable="The analytics are temporarily unavailable.",
)
def handler(event: dict[str, Any], context: LambdaContext) -> api.Response:
    """Answer 200 or 304, or a problem: 400, or 503 if AWS is unavailable."""
    first, last = api.period_in(event, today=datetime.now(UTC).date())
    answer = analytics(counters(first, last, dynamodb=dynamodb, table_name=settings.analytics_table))
    logger.info("Analytics answered", days=len(answer.days))
    return api.respond_if_changed(event, answer)
