"""Task ValidateCustomer: check the business rules and normalise the customer's data."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from onboarding.domain.errors import CustomerInvalid
from onboarding.domain.tasks import CustomerTask
from onboarding.domain.validation import validate
from onboarding.runtime import failures

logger = Logger(use_rfc3339=True, utc=True)


@logger.inject_lambda_context(clear_state=True)
@failures.logged(logger, CustomerInvalid)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Return `{customerData}`, normalised."""
    task = CustomerTask.model_validate(event)
    logger.append_keys(customer_id=task.customer_id, correlation_id=task.correlation_id)
    customer = validate(task.customer_data)
    logger.info("Customer valid")
    return {"customerData": customer.model_dump(mode="json", by_alias=True, exclude_none=True)}
