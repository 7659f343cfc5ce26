"""Manual operations on one customer: register again, release the pending account, complete the onboarding, erase."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from cli import NotPossible
from cli.aws.stack import Stack
from cli.operate import execution
from cli.operate.execution import DOWNSTREAM_FAILED
from onboarding.adapters import accounts, bus, registrations
from onboarding.domain.customer import CustomerData
from onboarding.domain.events import (
    CustomerAccountCreated,
    Event,
    WelcomeEmailFailed,
    WelcomeEmailSent,
    WelcomeEmailUnconfirmed,
)
from onboarding.domain.registration import RegistrationRequest, customer_id_again

# What the workflow catches at SendWelcomeEmail, and then publishes.
WITHOUT_EMAIL: dict[str, tuple[type[Event], str]] = {
    "EmailUndeliverable": (WelcomeEmailFailed, "UNDELIVERABLE"),
    "EmailUnconfirmed": (WelcomeEmailUnconfirmed, "UNKNOWN"),
}


def reregister(stack: Stack, customer_id: str, *, dry_run: bool = False) -> str:
    """Queue an ended registration again as a new customer; return the new customerId, the same on each call.

    Raises:
        NotPossible: it is running, was onboarded, can be redriven, or holds an account; or the customer was erased.
    """
    closed = execution.closed(stack, customer_id)
    _refuse_onboarded(customer_id, execution.outcome(closed))
    if "ERASED" in {execution.account_status(stack, customer_id), execution.outcome(closed)}:
        raise NotPossible(f"The customer {customer_id} was erased")
    if not execution.obstacle(stack, closed):
        raise NotPossible(f"The onboarding of {customer_id} can be redriven: run redrive instead")
    account = _account(stack, customer_id)
    is_held = account is not None and account.status != "CANCELLED"
    if is_held and closed["status"] != "SUCCEEDED" and closed.get("error") != DOWNSTREAM_FAILED:
        raise NotPossible(f"The onboarding of {customer_id} holds an account: release it first")
    registration = execution.registration_of(closed)
    new_id = customer_id_again(registration.data, customer_id)
    if not dry_run:
        registrations.accept(
            RegistrationRequest(customer=registration.data, idempotency_key=None),
            customer_id=new_id,
            correlation_id=registration.correlation_id,
            sqs=stack.session.client("sqs"),
            queue_url=stack.outputs["RegistrationQueueUrl"],
            api_url=registration.api_url,
        )
    return new_id


def release(stack: Stack, customer_id: str, *, force: bool = False) -> list[str]:
    """Undo the pending account of a failed execution, as the workflow's compensation does; return what was done.

    Raises:
        NotPossible: the customer is unknown, still running or onboarded, the execution can be redriven (unless
            `force`), or a downstream system refused.
    """
    task = _task(customer_id, _closed(stack, customer_id, force=force))
    account = _account(stack, customer_id)
    if account is None or account.status == "CANCELLED":
        return []
    if account.status != "PENDING":
        raise NotPossible(f"The customer {customer_id} has an active account: run complete or erase instead")
    done = _deprovision(stack, task)
    execution.call(stack, "CancelAccount", task | {"customerData": account.customer_data})
    return [*done, "cancelled the account, and freed the e-mail address"]


def complete(stack: Stack, customer_id: str) -> list[str]:
    """Finish the onboarding of an active account, as the rest of the workflow would; return what was done.

    An event that was published before is published again under its id, which consumers recognise. An e-mail that was
    sent in the last 30 days is not sent again.

    Raises:
        NotPossible: the customer is unknown, still running or onboarded, has no active account, the execution can be
            redriven, or the e-mail can't be sent now.
    """
    closed = _closed(stack, customer_id)
    _refuse_onboarded(customer_id, _status(stack, customer_id, closed))
    account = _account(stack, customer_id)
    if account is None or account.status != "ACTIVE":
        raise NotPossible(f"The customer {customer_id} has no active account")
    task, account_id = _task(customer_id, closed), account.account_id
    customer = CustomerData.model_validate(account.customer_data)
    done = []

    def publish(kind: type[Event], **fields: str) -> None:
        event = kind.of(
            customer_id,
            correlation_id=task["correlationId"],
            occurred_at=datetime.now(UTC),
            account_id=account_id,
            **fields,
        )
        bus.publish(event, eventbridge=stack.session.client("events"), event_bus=stack.outputs["EventBusName"])
        done.append(f"published {kind.__name__}")

    names = {"first_name": customer.first_name, "last_name": customer.last_name}
    publish(CustomerAccountCreated, email=customer.email, name=customer.full_name or " ".join(names.values()), **names)
    email = {
        "accountId": account_id,
        "firstName": customer.first_name,
        "email": customer.email,
        "locale": customer.locale,
    }
    try:
        message_id = execution.call(stack, "SendWelcomeEmail", task | email)["messageId"]
    except execution.TaskFailed as failed:
        if failed.error not in WITHOUT_EMAIL:
            raise
        kind, reason = WITHOUT_EMAIL[failed.error]
        publish(kind, reason=reason)
    else:
        publish(WelcomeEmailSent, message_id=message_id)
    return done


def erase(stack: Stack, customer_id: str, *, force: bool = False, deadline: float = math.inf) -> list[str]:
    """Erase a customer's data here and in the downstream systems; return these. May be repeated.

    The systems are those that are configured, and those that the onboarding asked. docs/runbook.md lists what remains.
    An execution that waits for the customer's confirmation ends.

    Raises:
        NotPossible: the customer is unknown, still running without that wait (`StillRunning`), the execution can be
            redriven (unless `force`), or the erasure failed, or runs on at the deadline.
    """
    try:
        found = _closed(stack, customer_id, force=force)
    except execution.StillRunning:
        if not execution.end_wait(stack, customer_id):
            raise
        found = execution.describe(stack, customer_id)
    systems = sorted({*stack.systems, *(execution.systems_of(stack, found) if found else ())})
    execution.erase(stack, _task(customer_id, found) | {"systems": systems}, deadline)
    return systems


def _account(stack: Stack, customer_id: str) -> accounts.Customer | None:
    return accounts.find(
        customer_id, dynamodb=stack.session.client("dynamodb"), table_name=stack.outputs["CustomersTableName"]
    )


def _status(stack: Stack, customer_id: str, closed: execution.Execution | None) -> str:
    """The onboarding's status: by the execution's output, or else by the timeline."""
    tracked = execution.tracked(stack, customer_id)
    if closed and (execution.outcome(closed) or tracked is None):
        return execution.outcome(closed)
    if tracked is None:
        raise NotPossible(f"Nothing says any more how the onboarding of {customer_id} ended")
    return tracked.status


def _refuse_onboarded(customer_id: str, status: str) -> None:
    if status.startswith("ONBOARDED"):
        raise NotPossible(f"The customer {customer_id} is onboarded")


def _closed(stack: Stack, customer_id: str, *, force: bool = False) -> execution.Execution | None:
    """The ended execution; None if Step Functions has deleted it, after 90 days, and the customer has an account."""
    try:
        closed = execution.closed(stack, customer_id)
    except execution.NoExecution:
        if _account(stack, customer_id) is None:
            raise
        return None
    if not execution.obstacle(stack, closed) and not force:
        raise NotPossible(f"The onboarding of {customer_id} can be redriven: run redrive instead")
    return closed


def _task(customer_id: str, closed: execution.Execution | None) -> dict[str, Any]:
    """The input that every task of the workflow has."""
    correlation_id = execution.registration_of(closed).correlation_id if closed else str(uuid4())
    return {"customerId": customer_id, "correlationId": correlation_id}


def _deprovision(stack: Stack, task: dict[str, str]) -> list[str]:
    for system in stack.systems:
        execution.call(stack, "DeprovisionAccount", task | {"system": system})
    return [f"deleted the account in {system}" for system in stack.systems]
