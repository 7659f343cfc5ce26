"""A customer confirms the e-mail address: the workflow waits for a token, and the API completes it."""

import html
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser

from cli import NotPossible
from cli.downstream.partner import Partner
from cli.machine.polling import back_off
from cli.operate import customers, trace
from tests.customers import a_customer
from tests.deployed.engine.world import CONFIRMED, EXPIRED, WAITS
from tests.deployed.onboardings import PATIENCE_SECONDS, Onboardings
from tests.deployed.stack.test_operations import everything_in, run
from tests.deployed.stack.test_status import await_steps, steps
from tests.invocations import a_registration

Start = Callable[..., str]
TO_THE_WAIT = [*CONFIRMED.tasks[:3], "CreateAccount", "RequestConfirmation"]


@pytest.fixture(scope="module")
def machines(onboardings: Onboardings) -> dict[int, str]:
    """The deployed state machine, made to ask; by the seconds that each of its two waits takes."""
    deployed = onboardings.sfn.describe_state_machine(stateMachineArn=onboardings.stack.outputs["StateMachineArn"])

    def asking(seconds: int) -> str:
        definition = json.loads(deployed["definition"])
        definition["States"]["CreateAccount"]["Arguments"]["Payload"]["emailConfirmation"] = "required"
        for wait in WAITS:
            definition["States"][wait]["TimeoutSeconds"] = seconds
        return onboardings.sfn.create_state_machine(
            name=f"asking-{seconds}", definition=json.dumps(definition), roleArn=deployed["roleArn"]
        )["stateMachineArn"]

    return {seconds: asking(seconds) for seconds in (1, 600)}


@pytest.fixture
def start(onboardings: Onboardings, machines: dict[int, str]) -> Start:
    """Starts an onboarding that asks, and returns the customerId."""
    api_url = f"{onboardings.stack.api_url}/api/customers"

    def start(customer: dict[str, Any], seconds: int = 600) -> str:
        customer_id = str(uuid4())
        onboardings.sfn.start_execution(
            stateMachineArn=machines[seconds],
            name=customer_id,
            input=json.dumps(a_registration(customerId=customer_id, data=customer, apiUrl=api_url)),
        )
        return customer_id

    return start


def mailed_code(onboardings: Onboardings, customer_id: str) -> str:
    """Wait until a code is mailed to the customer, and return it as the link in the e-mail has it."""
    link = re.compile(rf"#customerId={customer_id}&code=(\w+)\n")
    for _ in back_off(PATIENCE_SECONDS):
        for found in (link.search(mail["BodyText"]) for mail in onboardings.stack.emulator.mails()):
            if found:
                return found[1]
    raise TimeoutError(f"no code was mailed to {customer_id}")


def confirm(onboardings: Onboardings, customer_id: str, code: str) -> httpx.Response:
    url = f"{onboardings.stack.api_url}/api/customers/{customer_id}/email-confirmation"
    return httpx.post(url, json={"code": code}, trust_env=False, timeout=PATIENCE_SECONDS)


def test_customer_confirms_and_is_onboarded(onboardings: Onboardings, machines: dict[int, str], start: Start) -> None:
    customer_id = start(a_customer())
    code = mailed_code(onboardings, customer_id)
    waiting = onboardings.await_status(customer_id, "AWAITING_CONFIRMATION")

    with ThreadPoolExecutor(2) as pool:  # twice at once
        answers = list(pool.map(lambda _: confirm(onboardings, customer_id, code), range(2)))

    onboarding = onboardings.ended(customer_id, machines[600])
    assert [(it.status_code, it.text) for it in (*answers, confirm(onboardings, customer_id, code))] == [(204, "")] * 3
    assert onboarding.states[:5] == TO_THE_WAIT
    assert onboarding.states[5:7] == ["PublishCustomerEmailConfirmed", "CreateAccount"]
    assert onboarding.output["status"] == "ONBOARDED"
    assert onboarding.event_types.count("CustomerEmailConfirmed") == 1
    assert len(onboarding.mails) == 2  # the code, and the welcome
    assert waiting["confirmationExpiresAt"] > waiting["timeline"][-1]["occurredAt"]
    shown = await_steps(onboardings, customer_id, 5).json()
    assert shown["status"] == "ONBOARDED"
    assert steps(shown)[2] == "CustomerEmailConfirmed"


def test_nobody_confirms_and_it_expires(onboardings: Onboardings, machines: dict[int, str], start: Start) -> None:
    customer_id = start(a_customer(), seconds=1)

    onboarding = onboardings.ended(customer_id, machines[1])

    assert onboarding.states[-4:] == [*EXPIRED.tasks[-3:], "Expired"]
    assert onboarding.output == {"customerId": customer_id, "status": "EXPIRED"}
    assert len(onboarding.mails) == 2  # the second one reminds
    late = confirm(onboardings, customer_id, mailed_code(onboardings, customer_id))
    assert late.status_code == 410
    shown = onboardings.await_status(customer_id, "EXPIRED")
    assert (shown["welcomeEmail"], shown["timeline"][-1]["type"]) == ("NOT_SENT", "CustomerRegistrationExpired")


def test_who_confirms_first_has_the_address(onboardings: Onboardings, machines: dict[int, str], start: Start) -> None:
    customer = a_customer()
    first, second = start(customer), start(customer | {"lastName": "King"})
    codes = {it: mailed_code(onboardings, it) for it in (first, second)}

    assert confirm(onboardings, second, codes[second]).status_code == 204
    assert onboardings.ended(second, machines[600]).output["status"] == "ONBOARDED"
    assert confirm(onboardings, first, codes[first]).status_code == 204

    assert onboardings.ended(first, machines[600]).output["reason"] == "EMAIL_TAKEN"
    errors = onboardings.await_status(first, "REJECTED")["errors"]
    assert [error["code"] for error in errors] == ["not_registrable"]


def test_waiting_customer_is_erased_at_once(
    onboardings: Onboardings, machines: dict[int, str], start: Start, partners: Mapping[str, Partner]
) -> None:
    customer, stack = a_customer(firstName="Zephyrine"), onboardings.stack
    customer_id = start(customer)
    code = mailed_code(onboardings, customer_id)

    with patch.dict(stack.outputs, StateMachineArn=machines[600]):
        run(stack, "erase", customer_id)
        run(stack, "erase", customer_id)
        with pytest.raises(NotPossible, match="was erased"):
            customers.reregister(stack, customer_id)

    onboarding = onboardings.ended(customer_id, machines[600])
    assert onboarding.states == [*TO_THE_WAIT, "Erased"]
    assert onboarding.output == {
        "customerId": customer_id,
        "status": "ERASED",
    }  # can't be redriven, and raises no alarm
    with patch.dict(stack.outputs, StateMachineArn=machines[600]):
        (asked,) = (it for it in trace.trace(stack, customer_id).visits if it.state == "RequestConfirmation")
    assert (asked.result, asked.tries[-1].error) == ("", "AccountErased")
    assert confirm(onboardings, customer_id, code).status_code == 404
    assert onboardings.request("POST", f"/api/customers/{customer_id}/email-confirmation/resend").status_code == 202
    onboardings.await_consumers()
    assert onboardings.status_of(customer_id).status_code == 404
    for table in ("CustomersTable", "TimelinesTable", "FraudTable", "AnalyticsTable", "IdempotencyTable"):
        assert customer["email"] not in (kept := everything_in(onboardings, table))
        assert "Zephyrine" not in kept
    assert all(customer_id in partner.tombstones() for partner in partners.values())
    assert onboardings.onboard(customer).output["status"] == "ONBOARDED"
    assert (
        len([mail for mail in stack.emulator.mails() if customer["email"] in mail["To"]]) == 2
    )  # its code, the welcome


def test_link_lets_a_person_alone_confirm(
    onboardings: Onboardings, machines: dict[int, str], start: Start, chromium: Browser
) -> None:
    customer_id = start(a_customer())
    code = mailed_code(onboardings, customer_id)
    (mail,) = (it for it in onboardings.stack.emulator.mails() if code in it["BodyText"])
    urls = set(re.findall(r"https?://[^\s\"<]+", html.unescape(mail["BodyText"] + mail["BodyHtml"])))
    window, methods = chromium.new_page(locale="en"), []
    window.set_default_timeout(PATIENCE_SECONDS * 1000)
    window.on("request", lambda request: methods.append(request.method))

    (link,) = urls
    with httpx.Client(trust_env=False, timeout=PATIENCE_SECONDS, follow_redirects=True) as scanner:
        assert scanner.get(link).status_code == httpx.codes.OK
        scanner.head(link)
    window.goto(link)  # as a scanner that runs scripts
    assert onboardings.await_status(customer_id, "AWAITING_CONFIRMATION")
    assert methods == ["GET"]

    window.get_by_label("code").fill("A" * 24)
    window.get_by_role("button", name="Confirm").click()
    window.get_by_text("Attempts left: 9").wait_for()
    for _ in range(2):
        window.goto("about:blank")
        window.goto(link)
        window.get_by_role("button", name="Confirm").click()
        window.get_by_text("Your e-mail address is confirmed").wait_for()
    assert onboardings.ended(customer_id, machines[600]).output["status"] == "ONBOARDED"


def test_link_of_an_expired_registration_says_so(
    onboardings: Onboardings, machines: dict[int, str], start: Start, chromium: Browser
) -> None:
    customer_id = start(a_customer(), seconds=1)
    onboardings.ended(customer_id, machines[1])
    window = chromium.new_page(locale="de")
    window.set_default_timeout(PATIENCE_SECONDS * 1000)

    page = f"{onboardings.stack.api_url}/api/customers/{customer_id}/email-confirmation"
    window.goto(f"{page}#code={mailed_code(onboardings, customer_id)}")
    window.get_by_role("button", name="Bestätigen").click()

    window.get_by_text("Die Frist ist abgelaufen").wait_for()
