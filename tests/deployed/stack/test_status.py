"""The status of an onboarding, as a client of the deployed stack sees it."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

from cli.downstream.partner import Fault, FaultKind, Partner
from cli.machine.polling import back_off
from onboarding.domain.events import CustomerRegistered
from onboarding.domain.registration import Registration
from tests.customers import a_customer, an_address
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.invocations import a_registration, an_envelope, an_event, sample


def steps(onboarding: Mapping[str, Any]) -> list[str]:
    return [step["type"] for step in onboarding["timeline"]]


def await_steps(onboardings: Onboardings, customer_id: str, count: int) -> httpx.Response:
    """Wait until the timeline has so many steps: the last event may arrive before an earlier one."""
    for _ in back_off(PATIENCE_SECONDS):
        answer = onboardings.status_of(customer_id)
        if answer.is_success and len(steps(answer.json())) == count:
            return answer
    raise TimeoutError(f"{customer_id} has not {count} steps within {PATIENCE_SECONDS} s")


def test_location_follows_the_onboarding(onboardings: Onboardings) -> None:
    accepted = onboardings.post(json=a_customer())
    customer_id = accepted.json()["customerId"]

    onboarding = await_steps(onboardings, customer_id, 4).json()

    assert accepted.url.join(accepted.headers["Location"]) == onboardings.status_of(customer_id).url
    assert (onboarding["customerId"], onboarding["status"]) == (customer_id, "ONBOARDED")
    assert onboarding["accountId"] == onboardings.ended(customer_id).output["accountId"]
    assert onboarding["welcomeEmail"] == "SENT"
    assert "errors" not in onboarding
    to_account = ["CustomerRegistered", "CustomerValidated", "CustomerAccountCreated"]
    assert steps(onboarding) == [*to_account, "WelcomeEmailSent"]


def test_rejection_has_every_error_and_is_cached(onboardings: Onboardings) -> None:
    customer_id = onboardings.register(a_customer(firstName="A", email="ada@localhost"))

    first = await_steps(onboardings, customer_id, 2)
    second = onboardings.status_of(customer_id, **{"If-None-Match": f"W/{first.headers['ETag']}"})

    assert first.json()["status"] == "REJECTED"
    assert [error["field"] for error in first.json()["errors"]] == ["firstName", "email"]
    assert first.headers["Cache-Control"] == "no-cache"
    assert "Retry-After" not in first.headers
    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["ETag"] == first.headers["ETag"]


def test_taken_address_is_not_disclosed(onboardings: Onboardings) -> None:
    address = an_address()
    onboardings.onboard(a_customer(email=address))

    customer_id = onboardings.register(a_customer(email=address))

    onboarding = onboardings.await_status(customer_id, "REJECTED")
    assert [error["code"] for error in onboarding["errors"]] == ["not_registrable"]
    assert steps(onboarding)[-1] == "CustomerRejected"
    assert [word for word in ("email_taken", "accountcreation") if word in json.dumps(onboarding).lower()] == []


def test_stopped_execution_has_failed(onboardings: Onboardings, partners: Mapping[str, Partner]) -> None:
    registration = Registration.model_validate(a_registration(customerId=an_address().partition("@")[0][4:]))
    # It can't end before it is stopped: the partner lets each try hang.
    partners["crm"].plan(registration.data.email, Fault(FaultKind.HANG, times=100))
    started = onboardings.sfn.start_execution(
        stateMachineArn=onboardings.stack.outputs["StateMachineArn"],
        name=registration.customer_id,
        input=registration.model_dump_json(by_alias=True, exclude_none=True),
    )
    onboardings.sfn.stop_execution(executionArn=started["executionArn"], error="Stopped", cause="by hand")

    onboarding = onboardings.await_status(registration.customer_id, "FAILED")

    assert "ExecutionAborted" in steps(onboarding)
    assert registration.data.email not in json.dumps(onboarding)


def test_unannounced_end_is_in_the_status(onboardings: Onboardings) -> None:
    session, customer_id = onboardings.stack.session, f"unannounced-{uuid4()}"
    events, rule = session.client("events"), onboardings.physical_id("TrackStopsRule")
    registered = json.dumps(an_envelope(an_event(CustomerRegistered, customer_id)))  # days ago
    events.disable_rule(Name=rule)
    try:
        onboardings.sfn.start_execution(  # it fails at once
            stateMachineArn=onboardings.stack.outputs["StateMachineArn"], name=customer_id, input="{}"
        )
        onboardings.await_end(customer_id)
        # A poll that fails is repeated within seconds before the first event, and within minutes after it.
        onboardings.await_status(customer_id, "FAILED")
        session.client("sqs").send_message(
            QueueUrl=onboardings.physical_id("TrackOnboardingQueue"), MessageBody=registered
        )

        onboarding = await_steps(onboardings, customer_id, 2).json()
    finally:
        events.enable_rule(Name=rule)

    assert onboarding["status"] == "FAILED"
    assert steps(onboarding) == ["CustomerRegistered", "ExecutionFailed"]


def test_later_bounce_is_in_the_status(onboardings: Onboardings) -> None:
    customer_id = onboardings.register(a_customer())
    onboarded = onboardings.await_status(customer_id, "ONBOARDED")
    (record,) = sample("publish_email_feedback/bounce")["Records"]
    feedback = json.loads(record["body"])
    feedback["detail"]["mail"]["tags"] |= {"customerId": [customer_id], "accountId": [onboarded["accountId"]]}

    # The emulator's SES reports nothing, and only AWS may put its events on a bus.
    onboardings.stack.session.client("sqs").send_message(
        QueueUrl=onboardings.physical_id("PublishEmailFeedbackQueue"), MessageBody=json.dumps(feedback)
    )

    onboarding = onboardings.await_status(customer_id, "ONBOARDED_WITHOUT_EMAIL")
    onboardings.await_consumers()
    assert onboarding["welcomeEmail"] == "BOUNCED"
    assert "WelcomeEmailFailed" in steps(onboarding)
    assert "WelcomeEmailFailed" in [event for event, _ in onboardings.events_of(customer_id)]
