"""The status of an onboarding, as a client of the deployed stack follows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from cli.downstream.partner import Fault, FaultKind, Partner
from cli.machine.polling import back_off
from onboarding.domain.registration import Registration
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.invocations import a_registration, sample


def follow(onboardings: Onboardings, accepted: httpx.Response) -> str:
    """The customerId of an accepted registration, whose Location is that customer's onboarding."""
    customer_id = str(accepted.json()["customerId"])
    assert accepted.url.join(accepted.headers["Location"]) == onboardings.status_of(customer_id).url
    return customer_id


def steps(onboarding: dict[str, Any]) -> list[str]:
    return [step["type"] for step in onboarding["timeline"]]


def test_the_location_of_a_registration_tells_how_far_its_onboarding_has_come(onboardings: Onboardings) -> None:
    customer_id = follow(onboardings, onboardings.post(json=a_customer()))

    onboarding = onboardings.await_status(customer_id, "ONBOARDED")

    assert onboarding["customerId"] == customer_id
    assert onboarding["accountId"] == onboardings.ended(customer_id).output["accountId"]
    assert onboarding["welcomeEmail"] == "SENT"
    assert "errors" not in onboarding
    for _ in back_off(PATIENCE_SECONDS):  # an earlier event may come later
        if len(steps(onboardings.status_of(customer_id).json())) == 4:
            break
    assert steps(onboardings.status_of(customer_id).json()) == [
        "CustomerRegistered",
        "CustomerValidated",
        "CustomerAccountCreated",
        "WelcomeEmailSent",
    ]


def test_an_answer_that_is_known_is_not_sent_again(onboardings: Onboardings) -> None:
    customer_id = onboardings.register(a_customer(firstName="A"))
    onboardings.await_status(customer_id, "REJECTED")
    for _ in back_off(PATIENCE_SECONDS):
        if len(onboardings.status_of(customer_id).json()["timeline"]) == 2:
            break

    first = onboardings.status_of(customer_id)
    second = onboardings.status_of(customer_id, **{"If-None-Match": f"W/{first.headers['ETag']}"})

    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert first.headers["Cache-Control"] == "no-cache"
    assert "Retry-After" not in first.headers


def test_a_rejected_customer_is_told_every_error(onboardings: Onboardings) -> None:
    customer_id = onboardings.register(a_customer(firstName="A", email="ada@localhost"))

    onboarding = onboardings.await_status(customer_id, "REJECTED")

    assert [error["field"] for error in onboarding["errors"]] == ["firstName", "email"]
    assert onboarding["welcomeEmail"] == "NOT_SENT"


def test_that_an_address_is_taken_is_not_told(onboardings: Onboardings) -> None:
    address = an_address()
    onboardings.onboard(a_customer(email=address))

    customer_id = onboardings.register(a_customer(email=address))

    onboarding = onboardings.await_status(customer_id, "REJECTED")
    assert [error["code"] for error in onboarding["errors"]] == ["not_registrable"]
    assert steps(onboarding)[-1] == "CustomerRejected"
    assert [word for word in ("email_taken", "accountcreation") if word in json.dumps(onboarding).lower()] == []


def test_nobody_waits_for_an_execution_that_was_stopped(
    onboardings: Onboardings, partners: Mapping[str, Partner]
) -> None:
    registration = Registration.model_validate(a_registration(customerId=an_address().partition("@")[0][4:]))
    # It can't end before it is stopped: the partner asks each try to wait.
    partners["crm"].plan(registration.data.email, Fault(FaultKind.THROTTLE, times=100, retry_after_seconds=20))
    started = onboardings.sfn.start_execution(
        stateMachineArn=onboardings.stack.outputs["StateMachineArn"],
        name=registration.customer_id,
        input=registration.model_dump_json(by_alias=True, exclude_none=True),
    )
    onboardings.sfn.stop_execution(executionArn=started["executionArn"], error="Stopped", cause="by hand")

    onboarding = onboardings.await_status(registration.customer_id, "FAILED")

    assert "ExecutionAborted" in steps(onboarding)
    assert registration.data.email not in json.dumps(onboarding)


def test_an_e_mail_that_bounces_later_is_told(onboardings: Onboardings) -> None:
    customer_id = onboardings.register(a_customer())
    onboarded = onboardings.await_status(customer_id, "ONBOARDED")
    (record,) = sample("publish_email_feedback/bounce")["Records"]
    feedback = json.loads(record["body"])
    feedback["detail"]["mail"]["tags"] |= {"customerId": [customer_id], "accountId": [onboarded["accountId"]]}

    # The emulator's SES reports nothing, and nobody else may put an event of AWS's on a bus.
    onboardings.stack.session.client("sqs").send_message(
        QueueUrl=onboardings.physical_id("PublishEmailFeedbackQueue"), MessageBody=json.dumps(feedback)
    )

    onboarding = onboardings.await_status(customer_id, "ONBOARDED_WITHOUT_EMAIL")
    assert onboarding["welcomeEmail"] == "BOUNCED"
    assert "WelcomeEmailFailed" in steps(onboarding)
    assert "WelcomeEmailFailed" in [event for event, _ in onboardings.events_of(customer_id)]


@pytest.mark.parametrize("customer_id", ["nobody", "no%20body", "x" * 81])
def test_of_a_customer_that_there_is_not_there_is_no_status(onboardings: Onboardings, customer_id: str) -> None:
    response = onboardings.status_of(customer_id)

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["title"] == "Not Found"
    assert ("Retry-After" in response.headers) == (customer_id == "nobody")
