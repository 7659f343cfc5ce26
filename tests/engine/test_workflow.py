"""Each branch and each retry of the workflow, on the engine, with the real handlers."""

from __future__ import annotations

import pytest

from tests.customers import a_customer
from tests.definition import PUBLICATIONS, TASKS
from tests.engine.conftest import FailingWorkflow

ONBOARDED = [
    "PublishCustomerRegistered",
    "ValidateCustomer",
    "PublishCustomerValidated",
    "CreateAccount",
    "PublishCustomerAccountCreated",
    "SendWelcomeEmail",
    "PublishWelcomeEmailSent",
    "Onboarded",
]
TRANSIENT = ("Lambda.ServiceException", "Lambda.TooManyRequestsException", "TransactionCanceledException")


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
    assert onboarding.states == [*ONBOARDED[:6], "PublishWelcomeEmailFailed", "OnboardedWithoutEmail"]
    assert onboarding.tries["SendWelcomeEmail"] == 1
    assert onboarding.output["status"] == "ONBOARDED_WITHOUT_EMAIL"
    assert onboarding.events[-1][0] == "WelcomeEmailFailed"
    assert onboarding.mails == []


def test_a_blocked_sender_fails_the_execution_at_once_where_a_redrive_takes_it_up(
    workflow: FailingWorkflow,
) -> None:
    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": ["raise EmailSenderBlocked"]})

    assert (onboarding.status, onboarding.error) == ("FAILED", "EmailSenderBlocked")
    assert onboarding.last_state == "SendWelcomeEmail"
    assert onboarding.tries["SendWelcomeEmail"] == 1


def test_a_mail_outage_is_ridden_out(workflow: FailingWorkflow) -> None:
    outage = ["raise EmailServiceUnavailable"] * 18

    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": outage})

    assert onboarding.output["status"] == "ONBOARDED"
    assert onboarding.tries["SendWelcomeEmail"] == 19
    assert len(onboarding.mails) == 1


def test_a_mail_outage_without_end_fails_the_execution_where_a_redrive_takes_it_up(
    workflow: FailingWorkflow,
) -> None:
    outage = ["raise EmailServiceUnavailable"] * 19

    onboarding = workflow.run(a_customer(), {"SendWelcomeEmail": outage})

    assert (onboarding.status, onboarding.error) == ("FAILED", "EmailServiceUnavailable")
    assert onboarding.last_state == "SendWelcomeEmail"
    assert onboarding.event_types[-1] == "CustomerAccountCreated"


@pytest.mark.parametrize("task", TASKS)
def test_a_task_that_fails_for_a_while_is_tried_until_it_succeeds(workflow: FailingWorkflow, task: str) -> None:
    faults = [f"raise {error}" for error in TRANSIENT]

    onboarding = workflow.run(a_customer(), {task: faults})

    assert onboarding.states == ONBOARDED
    assert onboarding.tries[task] == len(faults) + 1
    assert len(onboarding.mails) == 1


@pytest.mark.parametrize("task", TASKS)
def test_an_unforeseen_error_fails_the_execution_at_its_state_uncaught(workflow: FailingWorkflow, task: str) -> None:
    onboarding = workflow.run(a_customer(), {task: ["raise KeyError"] * 9})

    assert (onboarding.status, onboarding.error) == ("FAILED", "KeyError")
    assert onboarding.last_state == task
    assert onboarding.tries[task] == 9


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("fault", ["work, then raise Lambda.Unknown", "exit", "work twice"])
def test_a_task_that_dies_or_runs_twice_does_its_work_once(workflow: FailingWorkflow, task: str, fault: str) -> None:
    onboarding = workflow.run(a_customer(), {task: [fault]})

    assert onboarding.states == ONBOARDED
    assert onboarding.event_types.count("CustomerAccountCreated") == 1
    assert len(onboarding.mails) == 1


def test_a_task_that_hangs_is_tried_again(workflow: FailingWorkflow) -> None:
    onboarding = workflow.run(a_customer(), {"ValidateCustomer": ["hang"]})

    assert onboarding.states == ONBOARDED
    assert onboarding.tries["ValidateCustomer"] == 2


@pytest.mark.parametrize("publication", PUBLICATIONS)
def test_no_event_is_skipped_where_eventbridge_stays_down(workflow: FailingWorkflow, publication: str) -> None:
    """The emulator's EventBridge can't fail, so Step Functions' own mocks stand for it."""
    customer = a_customer()
    faults: dict[str, list[str]] = {}
    match publication:
        case "PublishCustomerValidationFailed":
            customer = a_customer(firstName="A")
        case "PublishCustomerAccountCreationFailed":
            workflow.run(customer)
        case "PublishWelcomeEmailFailed":
            faults = {"SendWelcomeEmail": ["raise EmailUndeliverable"]}

    onboarding = workflow.run(customer, faults, test_case=f"{publication}Fails")

    assert (onboarding.status, onboarding.error) == ("FAILED", "EventBridge.FailedEntry")
    assert onboarding.last_state == publication
    assert onboarding.tries[publication] == 9
    assert publication.removeprefix("Publish") not in onboarding.event_types
