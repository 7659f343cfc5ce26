"""Each branch and each retry of the workflow, on the engine, with the real handlers."""

from __future__ import annotations

from uuid import uuid4

from tests.customers import a_customer
from tests.deployed.engine.audit import Auditor
from tests.deployed.engine.conftest import FailingWorkflow
from tests.deployed.engine.world import ONBOARDED as TO_THE_END

ONBOARDED = [
    "PublishCustomerRegistered",
    "ValidateCustomer",
    "PublishCustomerValidated",
    "CreateAccount",
    "ProvisionAccounts",
    "DecideOnProvisioning",
    "ActivateAccount",
    "PublishCustomerAccountCreated",
    "SendWelcomeEmail",
    "PublishWelcomeEmailSent",
    "Onboarded",
]


def test_a_sound_customer_is_onboarded(workflow: FailingWorkflow) -> None:
    customer = a_customer()

    onboarding = workflow.run(customer)

    assert onboarding.status == "SUCCEEDED"
    assert onboarding.states == ONBOARDED
    assert onboarding.output.keys() == {"customerId", "status", "accountId"}
    assert onboarding.output["status"] == "ONBOARDED"
    assert onboarding.event_types == [
        "CustomerRegistered",
        "CustomerValidated",
        "CustomerAccountCreated",
        "WelcomeEmailSent",
    ]
    assert len(onboarding.mails) == 1


def test_without_downstream_systems_the_account_is_created_in_none(workflow: FailingWorkflow, auditor: Auditor) -> None:
    customer, customer_id = a_customer(), str(uuid4())

    onboarding = workflow.run(customer, machine=workflow.alone, customer_id=customer_id)

    assert onboarding.states == ONBOARDED
    assert onboarding.tries["ProvisionAccounts"] == 0
    assert auditor.world(customer_id, customer["email"], onboarding) == TO_THE_END.leaves(systems=frozenset())


def test_an_invalid_customer_is_rejected_with_every_broken_rule(workflow: FailingWorkflow) -> None:
    customer = a_customer(firstName="A", phone="12")

    onboarding = workflow.run(customer)

    assert onboarding.status == "SUCCEEDED"
    assert onboarding.states == [*ONBOARDED[:2], "PublishCustomerValidationFailed", "Rejected"]
    assert onboarding.tries["ValidateCustomer"] == 1
    assert (onboarding.output["status"], onboarding.output["reason"]) == ("REJECTED", "INVALID")
    detail_type, detail = onboarding.events[-1]
    assert detail_type == "CustomerValidationFailed"
    assert {error["field"] for error in detail["errors"]} == {"firstName", "phone"}
    assert detail["customerData"] == customer
    assert onboarding.mails == []


def test_one_broken_rule_is_published_as_a_list_too(workflow: FailingWorkflow) -> None:
    onboarding = workflow.run(a_customer(firstName="A"))

    assert [error["field"] for error in onboarding.events[-1][1]["errors"]] == ["firstName"]


def test_a_customer_whose_address_is_taken_is_rejected(workflow: FailingWorkflow) -> None:
    first = a_customer()
    workflow.run(first)

    onboarding = workflow.run(a_customer(email=first["email"].upper()))

    assert onboarding.status == "SUCCEEDED"
    assert onboarding.states == [*ONBOARDED[:4], "PublishCustomerAccountCreationFailed", "Rejected"]
    assert onboarding.tries["CreateAccount"] == 1
    assert (onboarding.output["status"], onboarding.output["reason"]) == ("REJECTED", "EMAIL_TAKEN")
    assert onboarding.events[-1][0] == "CustomerAccountCreationFailed"
    assert onboarding.events[-1][1]["reason"] == "EMAIL_TAKEN"


def test_a_customer_whose_mail_is_undeliverable_is_onboarded_without_it(workflow: FailingWorkflow) -> None:
    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": ["raise EmailUndeliverable"]})

    assert onboarding.status == "SUCCEEDED"
    assert onboarding.states == [*ONBOARDED[:9], "PublishWelcomeEmailFailed", "OnboardedWithoutEmail"]
    assert onboarding.tries["SendWelcomeEmail"] == 1
    assert onboarding.output["status"] == "ONBOARDED_WITHOUT_EMAIL"
    assert onboarding.events[-1][0] == "WelcomeEmailFailed"
    assert onboarding.mails == []


def test_a_mail_outage_is_ridden_out(workflow: FailingWorkflow) -> None:
    outage = ["raise EmailServiceUnavailable"] * 18

    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": outage})

    assert onboarding.output["status"] == "ONBOARDED"
    assert onboarding.tries["SendWelcomeEmail"] == 19
    assert len(onboarding.mails) == 1
