"""Task DeprovisionAccount: delete the customer's account in one downstream system."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters.downstream import Systems
from onboarding.domain.errors import DownstreamUnavailable
from onboarding.domain.tasks import SystemTask
from onboarding.runtime import aws, environment, failures


class Settings(environment.Settings):
    downstream_prefix: str


settings = Settings.read()
logger = Logger(use_rfc3339=True, utc=True)
systems = Systems(settings.downstream_prefix, aws.client)


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger, DownstreamUnavailable)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return `{system, status: DEPROVISIONED}`, also if there was no account."""
    task = SystemTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id, system=task.system)
    system = systems.connect(task.system, remaining=lambda: context.get_remaining_time_in_millis() / 1000)
    system.deprovision(task.customer_id)
    logger.info("Account deprovisioned")
    return {"system": task.system, "status": "DEPROVISIONED"}
