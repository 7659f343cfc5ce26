"""A check of a deployed stack: four customers register, are followed to the end, and are erased.

Their addresses are those of SES's mailbox simulator, which lets an e-mail arrive, bounce or be complained about. It
serves an account in SES's sandbox too, and counts neither for its quota nor for its reputation.
https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from secrets import token_hex
from uuid import uuid4

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from cli import NotPossible
from cli.aws.stack import Stack
from cli.machine.environment import HOST
from cli.operate import customers, execution, trace
from cli.terminal import listing
from onboarding.domain.customer import CustomerData
from onboarding.domain.registration import customer_id_for
from onboarding.domain.status import Onboarding

# How long it waits for the customers, and in all for their erasure too. What remains of three minutes is for requests
# that hang (a round of four), and for the last calls.
FOLLOWED_SECONDS = 120
MOST_SECONDS = 165
PAUSE_SECONDS = 1
TIMEOUT_SECONDS = 10
PROTECTED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
RETRIED = {HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
_WAITS = ("CustomerRegistered", "CustomerValidated")
_SENT = (*_WAITS, "CustomerAccountCreated", "WelcomeEmailSent")


@dataclass(frozen=True)
class Case:
    """What happens to a customer.

    `mailbox` is the simulator's, `expected` the final status as `_said` puts it, `steps` are those of the timeline.
    """

    name: str
    mailbox: str
    expected: str
    steps: Sequence[str]
    typed: Mapping[str, str] = field(default_factory=dict)


CASES = (
    Case("success", "success", "ONBOARDED, SENT", _SENT),
    Case("bounce", "bounce", "ONBOARDED_WITHOUT_EMAIL, BOUNCED", (*_SENT, "WelcomeEmailFailed")),
    Case("complaint", "complaint", "ONBOARDED, COMPLAINED", (*_SENT, "WelcomeEmailFailed")),
    Case(
        "invalid",
        "success",
        "REJECTED for firstName, phone",
        ("CustomerRegistered", "CustomerRejected"),
        {"firstName": "A", "phone": "12"},
    ),
)


class Customer:
    """A customer of the check, and the results so far."""

    def __init__(self, case: Case, run: str) -> None:
        self.case = case
        self.body = {
            "firstName": "Ada",
            "lastName": "Lovelace",
            "email": f"{case.mailbox}+{run}-{case.name}@simulator.amazonses.com",
            **case.typed,
        }
        self.key = f"check-{run}-{case.name}"
        # Known before the API answers, so that a customer whose answer is lost is erased too.
        self.customer_id = customer_id_for(CustomerData.model_validate(self.body), self.key)
        self.may_exist = self.is_accepted = self.is_over = False
        self.began, self.seconds = time.monotonic(), 0.0
        self.actual = "not registered"
        self.steps: set[str] = set()
        self.traced: trace.Trace | None = None
        self.is_awaited = False  # to confirm the e-mail address, which nobody does

    def go_on(self, http: httpx.Client, api: str) -> None:
        """Register the customer, or read the status. Raises `NotPossible`: the API is protected."""
        try:
            if self.is_accepted:
                self._read(http.get(f"{api}/{self.customer_id}/onboarding"))
            else:
                self._register(http, api)
        except httpx.TransportError as error:
            self.actual = f"no answer: {type(error).__name__}"
        self.seconds = time.monotonic() - self.began

    def _register(self, http: httpx.Client, api: str) -> None:
        existed_perhaps, self.may_exist = self.may_exist, True
        answer = http.post(api, json=self.body, headers={"Idempotency-Key": self.key})
        self.actual = f"{answer.status_code} {answer.reason_phrase}"
        self.is_accepted = answer.status_code == HTTPStatus.ACCEPTED
        self.is_over = answer.is_client_error and answer.status_code not in RETRIED
        self.may_exist = existed_perhaps or not self.is_over
        if answer.status_code in PROTECTED:
            raise NotPossible(
                f"The API is protected: it answered {self.actual}. The check sends the stack's API key, if it has one. "
                "If a web ACL guards the API too, let your address pass"
            )

    def _read(self, answer: httpx.Response) -> None:
        if answer.status_code != HTTPStatus.OK:
            self.actual = f"{answer.status_code} {answer.reason_phrase}"
            return
        onboarding = Onboarding.model_validate_json(answer.content)
        self.actual, self.steps = _said(onboarding), {step.type for step in onboarding.timeline}
        self.is_awaited = onboarding.status == "AWAITING_CONFIRMATION"
        is_wrong_end = onboarding.status in {"FAILED", "REJECTED"} and self.actual != self.case.expected
        is_right_end = self.actual == self.case.expected and self.steps >= {*self.case.steps}
        self.is_over = self.is_awaited or is_wrong_end or is_right_end

    @property
    def is_as_expected(self) -> bool:
        ended = self.traced is not None and self.traced.status == ("RUNNING" if self.is_awaited else "SUCCEEDED")
        return ended and (self.is_awaited or self.actual == self.case.expected) and self.steps == self.expected_steps

    @property
    def expected_steps(self) -> set[str]:
        """Those of the case, up to the confirmation that is waited for."""
        return {*_WAITS} if self.is_awaited and {*_WAITS} <= {*self.case.steps} else {*self.case.steps}

    @property
    def execution_and_steps(self) -> str:
        """How the execution ended, and which steps of the timeline are missing or too many."""
        executed = self.traced.status if self.traced else "no execution"
        missing = (f"without {step}" for step in sorted(self.expected_steps - self.steps))
        others = (f"with {step}" for step in sorted(self.steps - self.expected_steps))
        return ", ".join([executed, f"{len(self.steps)} events", *missing, *others])


def check(stack: Stack, console: Console) -> bool:
    """Register the customers, follow them, show the results, and erase them, also after an interrupt.

    Returns whether all results are as expected. Raises:
        NotPossible: the API is protected, or a customer is not erased.
    """
    began = time.monotonic()
    api, headers, run = f"{stack.api_url}/api/customers", _api_key(stack), token_hex(4)
    is_local = httpx.URL(api).host == HOST  # the user's proxy can't reach it
    with (
        console.status("checking (the customers are erased at the end, and after Ctrl-C)"),
        httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not is_local) as http,
        ExitStack() as erasures,  # runs each of them, even if one is interrupted or fails
    ):
        left: list[str] = []
        erasures.callback(_fail, left)
        checked = [Customer(case, run) for case in CASES]
        for customer in checked:
            erasures.callback(_erase, stack, customer, began, left)
        follow(checked, http, api, began + FOLLOWED_SECONDS)
        for customer in (it for it in checked if it.is_accepted):
            if not customer.is_awaited:
                _has_ended(stack, customer.customer_id, began + FOLLOWED_SECONDS)  # the status may be ahead of it
            with suppress(execution.NoExecution):
                customer.traced = trace.trace(stack, customer.customer_id)
        _show(checked, console)
    return all(customer.is_as_expected for customer in checked)


def follow(checked: Sequence[Customer], http: httpx.Client, api: str, deadline: float) -> None:
    """Register the customers and read their statuses until all have come to an end, or the time is up."""
    for customer in checked:
        customer.go_on(http, api)
        time.sleep(PAUSE_SECONDS)  # in its sandbox, SES sends one e-mail a second
    while (waiting := [customer for customer in checked if not customer.is_over]) and time.monotonic() < deadline:
        for customer in waiting:
            customer.go_on(http, api)
        time.sleep(PAUSE_SECONDS)


def _api_key(stack: Stack) -> dict[str, str]:
    """The header that the API requires, if the stack was deployed with ApiKeyRequired."""
    keys = [key_id for _, key_id in stack.resources("AWS::ApiGateway::ApiKey")]
    if not keys:
        return {}
    gateway = stack.session.client("apigateway")
    return {"X-API-Key": gateway.get_api_key(apiKey=keys[0], includeValue=True)["value"]}


def _said(onboarding: Onboarding) -> str:
    if onboarding.errors:
        return f"{onboarding.status} for {', '.join(error['field'] for error in onboarding.errors)}"
    return f"{onboarding.status}, {onboarding.welcome_email}"


def _show(checked: Sequence[Customer], console: Console) -> None:
    names = ("customer", "expected (status, e-mail)", "actual", "took", "execution and events")
    console.print(listing(*names, rows=map(_row, checked), right={"took"}))
    for customer in checked:
        if customer.traced and not customer.is_as_expected:
            console.print(trace.table(customer.traced))


def _row(customer: Customer) -> Iterator[str | Text]:
    mark = Text("✓ ", "bold green") if customer.is_as_expected else Text("✗ ", "bold red")
    yield mark + Text(customer.case.name, "default")
    yield from (customer.case.expected, customer.actual, f"{customer.seconds:.1f} s", customer.execution_and_steps)


def _erase(stack: Stack, customer: Customer, began: float, left: list[str]) -> None:
    """Erase a customer once the execution has ended, and stop that if it takes too long; if it can't, add to `left`."""
    if not customer.may_exist:
        return
    customer_id, deadline = customer.customer_id, began + MOST_SECONDS
    try:
        ends = not customer.is_awaited and _has_ended(stack, customer_id, began + FOLLOWED_SECONDS)
        if ends or _stop(stack, customer_id, deadline):
            customers.erase(stack, customer_id, force=True, deadline=deadline)
        else:  # what a registration in the queue does later meets the tombstones
            task = {"customerId": customer_id, "correlationId": str(uuid4()), "systems": stack.systems}
            execution.erase(stack, task, deadline)
    except (NotPossible, BotoCoreError, ClientError) as error:
        left.append(f"{customer_id} is not erased: {error}")


def _stop(stack: Stack, customer_id: str, deadline: float) -> bool:
    """Stop the customer's execution; False if there is none."""
    try:
        arn = execution.describe(stack, customer_id)["executionArn"]
    except execution.NoExecution:
        return False
    sfn = stack.session.client("stepfunctions")
    with suppress(sfn.exceptions.ValidationException):  # it has ended meanwhile
        sfn.stop_execution(executionArn=arn, error="CheckEnded")
    return _has_ended(stack, customer_id, deadline)


def _has_ended(stack: Stack, customer_id: str, deadline: float) -> bool:
    """Wait for the end of the customer's execution, or of the time."""
    while True:
        with suppress(execution.NoExecution):
            if execution.describe(stack, customer_id)["status"] not in execution.RUNNING:
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE_SECONDS)


def _fail(left: list[str]) -> None:
    """Raise `NotPossible` if a customer is not erased."""
    if left:
        raise NotPossible("\n".join([*left, "Erase them by `onboarding erase CUSTOMER_ID --force`."]))
