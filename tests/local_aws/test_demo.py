"""The demo's verdict is worth something: it notices what differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from cli.demo.customers import Customer, load
from cli.demo.outcome import Answer, Execution, Holding, Outcome, differences
from cli.demo.run import register

EVENTS = ["CustomerRegistered", "WelcomeEmailSent"]


def a_customer(**expected: Any) -> Customer:
    return Customer.model_validate(
        {"name": "ada", "title": "Ada", "customer": {"firstName": "Ada"}, "expect": {"http": 202} | expected}
    )


ONBOARDED = Outcome(
    a_customer(status="ONBOARDED", events=EVENTS, mail=True, html="&lt;b&gt;"),
    Answer(202, {"customerId": "1"}),
    Execution("SUCCEEDED", ("Onboarded",), {"customerId": "1", "status": "ONBOARDED"}),
    events=tuple({"detail-type": name, "detail": {}} for name in EVENTS),
    mails=({"BodyHtml": "Hello &lt;b&gt;"},),
    status_response={"status": "ONBOARDED"},
)

HELD = Holding(has_account=True, has_tombstone=False)
BARRED = Holding(has_account=False, has_tombstone=True)
NOTHING = Holding(has_account=False, has_tombstone=False)
FAILURE = {"reason": "DOWNSTREAM_FAILED", "systems": [{"system": "crm", "status": "REFUSED"}]}
COMPENSATED = Outcome(
    a_customer(
        status="FAILED",
        error="DownstreamFailed",
        reason="DOWNSTREAM_FAILED",
        failedSystems={"crm": "REFUSED"},
        events=["CustomerAccountCreationFailed"],
    ),
    Answer(202, {"customerId": "2"}),
    Execution("FAILED", ("AccountNotProvisioned",), {}, "DownstreamFailed", "crm"),
    events=({"detail-type": "CustomerAccountCreationFailed", "detail": FAILURE},),
    mails=(),
    holdings={"crm": BARRED, "ledger": BARRED},
    status_response={"status": "FAILED"},
)


def found_in(outcome: Outcome, **others: Outcome) -> list[str]:
    return list(differences(outcome, others))


def test_an_outcome_as_expected_differs_in_nothing() -> None:
    assert found_in(ONBOARDED) == []


@pytest.mark.parametrize(
    ("outcome", "difference"),
    [
        (replace(ONBOARDED, answer=Answer(500, {})), "the answer should be 202, was 500"),
        (replace(ONBOARDED, execution=None), "the status should be ONBOARDED, was None"),
        (replace(ONBOARDED, execution=Execution("FAILED", (), {})), "the status should be ONBOARDED, was FAILED"),
        (
            replace(ONBOARDED, execution=Execution("SUCCEEDED", (), {"status": "ONBOARDED", "reason": "X"})),
            "the reason should be None, was X",
        ),
        (
            replace(ONBOARDED, events=ONBOARDED.events * 2),
            f"the events should be {EVENTS}, was {sorted(EVENTS * 2)}",
        ),
        (replace(ONBOARDED, status_response={}), "the status that the API tells should be ONBOARDED, was None"),
        (replace(ONBOARDED, mails=()), "the number of mails should be 1, was 0"),
        (
            replace(ONBOARDED, mails=({"BodyHtml": "Hello <b>"},)),
            "the mail's HTML should contain &lt;b&gt;",
        ),
        (
            replace(ONBOARDED, answer=Answer(202, {"errors": [{"field": "email", "message": "m"}]})),
            "refused should be [], was ['email']",
        ),
    ],
)
def test_what_differs_is_spelled_out(outcome: Outcome, difference: str) -> None:
    assert found_in(outcome) == [difference]


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        (replace(ONBOARDED, holdings={"crm": HELD, "ledger": HELD}), []),
        (
            replace(ONBOARDED, holdings={"crm": HELD, "ledger": NOTHING}),
            ["the accounts should be ['crm', 'ledger'], was ['crm']"],
        ),
        (COMPENSATED, []),
        (
            replace(COMPENSATED, holdings={"crm": BARRED, "ledger": HELD}),
            [
                "the accounts should be [], was ['ledger']",
                "the tombstones should be ['crm', 'ledger'], was ['crm']",
            ],
        ),
        (
            replace(COMPENSATED, execution=Execution("FAILED", (), {}, "States.Timeout")),
            ["the error should be DownstreamFailed, was States.Timeout"],
        ),
    ],
)
def test_an_account_is_to_be_in_every_downstream_system_or_in_none(outcome: Outcome, found: list[str]) -> None:
    assert found_in(outcome) == found


def test_an_idempotent_retry_must_answer_the_first_customer_id() -> None:
    retry = Outcome(a_customer(sameCustomer="ada"), Answer(202, {"customerId": "2"}), None, (), ())

    assert found_in(retry, ada=ONBOARDED) == ["the customerId should be 1, was 2"]


def test_refused_registration_is_sent_again_with_its_key() -> None:
    answers = [
        httpx.Response(429, headers={"Retry-After": "0"}, json={}),
        httpx.Response(503, headers={"Retry-After": "0"}, json={}),
        httpx.Response(202, json={"customerId": "1"}),
    ]
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return answers[len(requests) - 1]

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        found = register(http, "http://api", a_customer())

    assert found == Answer(202, {"customerId": "1"}, refusals=(429, 503))
    assert len(requests) == 3
    assert len({(request.headers["Idempotency-Key"], request.content) for request in requests}) == 1


def test_the_demos_customers_can_be_read_and_wait_for_others_that_exist() -> None:
    customers = load()
    names = {customer.name for customer in customers}

    assert len(customers) >= 10
    assert len(names) == len(customers)
    assert {customer.after for customer in customers} <= names | {None}
    assert {customer.expect.same_customer for customer in customers} <= names | {None}
