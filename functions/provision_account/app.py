"""Task ProvisionAccount: create the customer's account in one downstream system."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.parameters import SecretsProvider, SSMProvider
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.adapters.downstream import connect
from onboarding.domain.errors import DownstreamRefused, DownstreamUnavailable
from onboarding.domain.tasks import ProvisionTask
from onboarding.runtime import aws, failures

PREFIX = os.environ["DOWNSTREAM_PREFIX"]
logger = Logger(use_rfc3339=True, utc=True)
settings = SSMProvider(boto3_client=aws.client("ssm"))
secrets = SecretsProvider(boto3_client=aws.client("secretsmanager"))
client = cache(aws.client)  # of the AWS service that a system's adapter calls


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger, DownstreamRefused, DownstreamUnavailable)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return `{system, status: PROVISIONED}`, each time."""
    task = ProvisionTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id, system=task.system)
    system = connect(
        task.system,
        PREFIX,
        settings=settings,
        secrets=secrets,
        client=client,
        remaining=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    system.provision(task.customer_id, task.account)
    logger.info("Account provisioned")
    return {"system": task.system, "status": "PROVISIONED"}
