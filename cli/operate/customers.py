"""What is done for one customer by hand: reregister, release what a failed execution holds, erase."""

from __future__ import annotations

import json
from uuid import uuid4

from cli import NotPossible
from cli.aws.stack import Stack
from cli.operate import execution
from cli.operate.execution import NOT_PROVISIONED
from onboarding.adapters import accounts, fraud, registrations, timelines
from onboarding.domain.registration import RegistrationRequest, customer_id_for


def reregister(stack: Stack, customer_id: str) -> str:
    """Queue a closed registration once more, as another customer; return the new customerId, the same one each time.

    Raises:
        NotPossible: it is running, was onboarded, or can be redriven.
    """
    closed = execution.closed(stack, customer_id)
    if json.loads(closed.get("output", "{}")).get("status", "").startswith("ONBOARDED"):
        raise NotPossible(f"The customer {customer_id} is onboarded")
    if not execution.obstacle(closed):
        raise NotPossible(f"The onboarding of {customer_id} can be redriven: do that instead")
    account = _account(stack, customer_id)
    is_held = account is not None and account.status != "CANCELLED"
    if is_held and closed["status"] != "SUCCEEDED" and closed.get("error") != NOT_PROVISIONED:
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
    """Undo the pending account of an execution that failed for good, as the workflow's own compensation does.

    Returns what was done, a line each; nothing where nothing is held.

    Raises:
        NotPossible: it is unknown, is running, is onboarded, can be redriven (unless by `force`), or a system refused.
    """
    task = _task(stack, customer_id, force=force)
    account = _account(stack, customer_id)
    if account is None or account.status == "CANCELLED":
        return []
    if account.status != "PENDING":
        raise NotPossible(f"The customer {customer_id} has an active account, which is not released but erased")
    done = _deprovision(stack, task)
    execution.call(stack, "CancelAccount", task | {"customerData": account.customer_data})
    return [*done, "cancelled the account, and freed the e-mail address"]


def erase(stack: Stack, customer_id: str, *, force: bool = False) -> list[str]:
    """Erase what is kept of a customer, here and in the downstream systems; what remains is in docs/runbook.md.

    Returns what was done, a line each. A second call finds nothing and does no harm.

    Raises:
        NotPossible: the customer is unknown, the onboarding is running or can be redriven (unless by `force`), or a
            system refused.
    """
    done = _deprovision(stack, _task(stack, customer_id, force=force))
    tables = dict(stack.resources("AWS::DynamoDB::Table"))
    for what, table, erase_from in (
        ("the timeline", "TimelinesTable", timelines.erase),
        ("what fraud detection has seen", "FraudTable", fraud.erase),
        # Last: while the customer is there, what failed half-way can be done again.
        ("the customer and the e-mail address", "CustomersTable", accounts.erase),
    ):
        if table in tables:  # a consumer may have been deleted from the template
            count = erase_from(customer_id, dynamodb=stack.session.client("dynamodb"), table_name=tables[table])
            done.append(f"erased {what}: {count} items")
    return done


def _account(stack: Stack, customer_id: str) -> accounts.Customer | None:
    return accounts.find(
        customer_id, dynamodb=stack.session.client("dynamodb"), table_name=stack.outputs["CustomersTableName"]
    )


def _task(stack: Stack, customer_id: str, *, force: bool) -> dict[str, object]:
    """What the workflow hands to each of its functions, for a customer whose execution is over.

    Raises:
        NotPossible: it is running, can be redriven (unless by `force`), or there is neither it nor a customer.
    """
    try:
        closed = execution.closed(stack, customer_id)
    except execution.NoExecution:  # Step Functions forgets it after 90 days
        if _account(stack, customer_id) is None:
            raise
        return {"customerId": customer_id, "correlationId": str(uuid4())}
    if not execution.obstacle(closed) and not force:
        raise NotPossible(
            f"The onboarding of {customer_id} can be redriven: redrive it first, or use --force and never redrive it"
        )
    return {"customerId": customer_id, "correlationId": execution.registration_of(closed).correlation_id}


def _deprovision(stack: Stack, task: dict[str, object]) -> list[str]:
    for system in stack.systems:
        execution.call(stack, "DeprovisionAccount", task | {"system": system})
    return [f"deleted the account in {system}" for system in stack.systems]
