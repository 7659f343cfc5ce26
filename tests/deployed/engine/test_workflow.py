"""Each branch and each retry of the workflow, on the emulator, with the real handlers."""

import re
from typing import Any
from uuid import uuid4

import httpx

from onboarding.adapters.accounts import cancel_account, create_account
from onboarding.domain.customer import CustomerData
from tests.customers import a_customer
from tests.deployed.definition import TASKS
from tests.deployed.engine.audit import Auditor, assert_it_can_be_redriven
from tests.deployed.engine.conftest import FailingWorkflow
from tests.deployed.engine.world import ONBOARDED as TO_THE_END
from tests.deployed.onboardings import PATIENCE_SECONDS

ONBOARDED = [*(TASKS[task].entered for task in TO_THE_END.tasks), TO_THE_END.end]


def until(state: str) -> list[str]:
    """The states of an onboarding, up to this one."""
    return ONBOARDED[: ONBOARDED.index(state) + 1]


def test_sound_customer_is_onboarded(workflow: FailingWorkflow) -> None:
    onboarding = workflow.run(a_customer())

    assert onboarding.states == ONBOARDED
    assert onboarding.output.keys() == {"customerId", "status", "accountId"}


def test_without_downstream_systems_there_are_no_accounts(workflow: FailingWorkflow, auditor: Auditor) -> None:
    customer = a_customer()

    onboarding = workflow.run(customer, machine=workflow.alone)

    assert onboarding.states == ONBOARDED
    assert onboarding.tries["ProvisionAccounts"] == 0
    world = auditor.world(onboarding.output["customerId"], customer["email"], onboarding)
    assert world == TO_THE_END.leaves(systems=frozenset())


def test_invalid_customer_is_rejected_with_every_broken_rule(workflow: FailingWorkflow) -> None:
    customer = a_customer(firstName="A", phone="12")

    onboarding = workflow.run(customer)

    assert onboarding.states == [*until("ValidateCustomer"), "PublishCustomerValidationFailed", "Rejected"]
    _, detail = onboarding.events[-1]
    assert [error["field"] for error in detail["errors"]] == ["firstName", "phone"]
    assert detail["customerData"] == customer


def test_taken_address_is_rejected(workflow: FailingWorkflow) -> None:
    first = a_customer()
    workflow.run(first)

    onboarding = workflow.run(a_customer(email=first["email"].upper()))

    assert onboarding.states == [*until("CreateAccount"), "PublishCustomerAccountCreationFailed", "Rejected"]
    assert onboarding.events[-1][1]["reason"] == "EMAIL_TAKEN"


def test_pending_address_is_waited_for(workflow: FailingWorkflow, auditor: Auditor) -> None:
    first, claimed = str(uuid4()), a_customer()
    table: dict[str, Any] = {"dynamodb": auditor.dynamodb, "table_name": auditor.table}
    create_account(first, CustomerData.model_validate(claimed), **table)

    second = workflow.start(claimed)
    waited = workflow.onboardings.ended(second, workflow.machine)
    cancel_account(first, CustomerData.model_validate(claimed), **table)
    workflow.redrive(second, workflow.machine)

    assert_it_can_be_redriven(waited, "CreateAccount", "EmailClaimPending")
    assert waited.tries["CreateAccount"] == TASKS["CreateAccount"].tries("EmailClaimPending")
    assert workflow.onboardings.ended(second, workflow.resuming).output["status"] == "ONBOARDED"


def test_confirmation_before_a_redrive_counts(workflow: FailingWorkflow) -> None:
    mailed = "work, then raise EmailSenderBlocked"
    customer_id = workflow.start(a_customer(), {"RequestConfirmation": [mailed]}, asks=True)
    failed = workflow.onboardings.ended(customer_id, workflow.machine)
    (code,) = re.findall(r"&code=(\w+)", "".join(mail["BodyText"] for mail in failed.mails))
    url = f"{workflow.onboardings.stack.api_url}/api/customers/{customer_id}/email-confirmation"

    answer = httpx.post(url, json={"code": code}, trust_env=False, timeout=PATIENCE_SECONDS)
    workflow.redrive(customer_id, workflow.machine)
    redriven = workflow.onboardings.ended(customer_id, workflow.resuming)

    assert_it_can_be_redriven(failed, "RequestConfirmation", "EmailSenderBlocked")
    assert answer.status_code == 204, answer.text
    assert redriven.output["status"] == "ONBOARDED"
    assert len(redriven.mails) == 2, "another code was mailed"


def test_undeliverable_mail_leaves_the_customer_onboarded(workflow: FailingWorkflow) -> None:
    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": ["raise EmailUndeliverable"]})

    assert onboarding.states == [*until("SendWelcomeEmail"), "PublishWelcomeEmailFailed", "OnboardedWithoutEmail"]
    assert onboarding.events[-1][1]["reason"] == "UNDELIVERABLE"


def test_mail_outage_is_ridden_out(workflow: FailingWorkflow) -> None:
    outage = ["raise EmailServiceUnavailable"] * 38

    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": outage})

    assert onboarding.output["status"] == "ONBOARDED"
    assert onboarding.tries["SendWelcomeEmail"] == 39
    assert len(onboarding.mails) == 1


def test_unknown_mail_is_sent_twice_at_most(workflow: FailingWorkflow) -> None:
    crash = "exit after onboarding.adapters.mail.send"

    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": [crash] * 3})

    assert onboarding.states == [*until("SendWelcomeEmail"), "PublishWelcomeEmailUnconfirmed", "OnboardedWithoutEmail"]
    assert onboarding.output["reason"] == "UNKNOWN"
    assert len(onboarding.mails) == 2
