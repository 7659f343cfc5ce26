"""Manual operations on one customer: register again, release the pending account, erase."""

import json
from uuid import uuid4

from cli import NotPossible
from cli.aws.stack import Stack
from cli.operate import execution
from cli.operate.execution import DOWNSTREAM_FAILED
from onboarding.adapters import accounts, fraud, registrations, timelines
from onboarding.domain.registration import RegistrationRequest, customer_id_for


def reregister(stack: Stack, customer_id: str) -> str:
    """Queue an ended registration again as a new customer; return the new customerId, the same on each call.

    Raises:
        NotPossible: it is running, was onboarded, can be redriven, or holds an account.
    """
    closed = execution.closed(stack, customer_id)
    if json.loads(closed.get("output", "{}")).get("status", "").startswith("ONBOARDED"):
        raise NotPossible(f"The customer {customer_id} is onboarded")
    if not execution.obstacle(closed):
        raise NotPossible(f"The onboarding of {customer_id} can be redriven: run redrive instead")
    account = _account(stack, customer_id)
    is_held = account is not None and account.status != "CANCELLED"
    if is_held and closed["status"] != "SUCCEEDED" and closed.get("error") != DOWNSTREAM_FAILED:
        raise NotPossible(f"The onboarding of {customer_id} holds an account: release it first")
    registration = execution.registration_of(closed)
    accepted = registrations.accept(
        RegistrationRequest(customer=registration.data, idempotency_key=None),
        customer_id=customer_id_for(registration.data, idempotency_key=f"anew {customer_id}"),
        correlation_id=registration.correlation_id,
        sqs=stack.session.client("sqs"),
        queue_url=stack.outputs["RegistrationQueueUrl"],
    )
    return accepted.customer_id


def release(stack: Stack, customer_id: str, *, force: bool = False) -> list[str]:
    """Undo the pending account of a failed execution, as the workflow's compensation does; return what was done.

    Raises:
        NotPossible: the customer is unknown, still running or onboarded, the execution can be redriven (unless
            `force`), or a downstream system refused.
    """
    task = _task(stack, customer_id, force=force)
    account = _account(stack, customer_id)
    if account is None or account.status == "CANCELLED":
        return []
    if account.status != "PENDING":
        raise NotPossible(f"The customer {customer_id} has an active account: run erase instead")
    done = _deprovision(stack, task)
    execution.call(stack, "CancelAccount", task | {"customerData": account.customer_data})
    return [*done, "cancelled the account, and freed the e-mail address"]


def erase(stack: Stack, customer_id: str, *, force: bool = False) -> list[str]:
    """Erase a customer's data here and in the downstream systems; return what was done. Idempotent.

    docs/runbook.md lists what remains.

    Raises:
        NotPossible: the customer is unknown or still running, the execution can be redriven (unless `force`), or a
            downstream system refused.
    """
    done = _deprovision(stack, _task(stack, customer_id, force=force))
    tables = dict(stack.resources("AWS::DynamoDB::Table"))
    for what, table, erase_from in (
        ("the timeline", "TimelinesTable", timelines.erase),
        ("what fraud detection has seen", "FraudTable", fraud.erase),
        # Last: while the customer is still found, a failed erasure can be repeated.
        ("the customer and the e-mail address", "CustomersTable", accounts.erase),
    ):
        if table in tables:  # a consumer may be deleted from the template
            count = erase_from(customer_id, dynamodb=stack.session.client("dynamodb"), table_name=tables[table])
            done.append(f"erased {what}: {count} items")
    return done


def _account(stack: Stack, customer_id: str) -> accounts.Customer | None:
    return accounts.find(
        customer_id, dynamodb=stack.session.client("dynamodb"), table_name=stack.outputs["CustomersTableName"]
    )


def _task(stack: Stack, customer_id: str, *, force: bool) -> dict[str, object]:
    """The input that every task of the workflow has, for a customer whose execution has ended."""
    try:
        closed = execution.closed(stack, customer_id)
    except execution.NoExecution:  # Step Functions deletes it after 90 days
        if _account(stack, customer_id) is None:
            raise
        return {"customerId": customer_id, "correlationId": str(uuid4())}
    if not execution.obstacle(closed) and not force:
        raise NotPossible(
            f"The onboarding of {customer_id} can be redriven. Redrive it, or use --force and don't redrive it later"
        )
    return {"customerId": customer_id, "correlationId": execution.registration_of(closed).correlation_id}


def _deprovision(stack: Stack, task: dict[str, object]) -> list[str]:
    for system in stack.systems:
        execution.call(stack, "DeprovisionAccount", task | {"system": system})
    return [f"deleted the account in {system}" for system in stack.systems]
