"""The workflow: one execution for each registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from onboarding.domain.registration import Registration


# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_LONGEST_TRACE_HEADER = 256


def execution_arn(state_machine_arn: str, customer_id: str) -> str:
    """The ARN of the customer's execution, which need not exist."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{customer_id}"


def start_execution(
    registration: Registration, *, trace_header: str | None, sfn: SFNClient, state_machine_arn: str
) -> bool:
    """Start the execution of a registration. Its name is the customerId, so there is never a second one.

    Returns True if this call started it or it is running with the same input; False if the name is taken.

    Raises:
        botocore.exceptions.ClientError: Step Functions refused.
    """
    execution_input = registration.model_dump_json(by_alias=True, exclude_none=True)
    trace = {"traceHeader": trace_header} if trace_header and len(trace_header) <= _LONGEST_TRACE_HEADER else {}
    try:
        sfn.start_execution(
            stateMachineArn=state_machine_arn, name=registration.customer_id, input=execution_input, **trace
        )
    except sfn.exceptions.ExecutionAlreadyExists:
        return False
    return True
