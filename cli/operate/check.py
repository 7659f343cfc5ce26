"""A check of a deployed stack: four customers register, are followed to the end, and are erased.

Their addresses are those of SES's mailbox simulator, which lets an e-mail arrive, bounce or be complained about. It
serves an account in SES's sandbox too, and counts neither for its quota nor for its reputation.
https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
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
NO_EXECUTION = "no execution"
# Where customers are asked to confirm their address, the check ends there: nobody reads the mailboxes.
_AWAITED = "AWAITING_CONFIRMATION"
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
        self.execution = NO_EXECUTION
        self.is_awaited = False  # to confirm the e-mail address

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
        self.is_awaited = onboarding.status == _AWAITED
        is_wrong_end = onboarding.status in {"FAILED", "REJECTED"} and self.actual != self.case.expected
        is_right_end = self.actual == self.case.expected and self.steps >= {*self.case.steps}
        is_wait = self.is_awaited and self.steps >= {*_WAITS}  # events come in any order
        self.is_over = is_wait or is_wrong_end or is_right_end

    @property
    def expected(self) -> tuple[str, str, set[str]]:
        """The final status, the execution's, and the steps: those of the case, or up to the confirmation."""
        if self.is_awaited and {*_WAITS} <= {*self.case.steps}:
            return _AWAITED, "RUNNING", {*_WAITS}
        return self.case.expected, "SUCCEEDED", {*self.case.steps}

    @property
    def is_as_expected(self) -> bool:
        return (self.actual, self.execution, self.steps) == self.expected

    @property
    def execution_and_steps(self) -> str:
        """How the execution ended, and which steps of the timeline are missing or too many."""
        *_, expected = self.expected
        missing = (f"without {step}" for step in sorted(expected - self.steps))
        others = (f"with {step}" for step in sorted(self.steps - expected))
        return ", ".join([self.execution, f"{len(self.steps)} events", *missing, *others])


def check(stack: Stack, console: Console) -> bool:
    """Register the customers, follow them, show the results, and erase them, also after an interrupt.

    Returns whether all results are as expected. Raises:
        NotPossible: the API is protected, or a customer is not erased.
    """
    began, left = time.monotonic(), dict[str, str]()
    api, headers, run = f"{stack.api_url}/api/customers", _api_key(stack), token_hex(4)
    with (
        console.status("checking (the customers are erased at the end, and after Ctrl-C)"),
        httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not _is_local(stack)) as http,
        ExitStack() as erasures,  # runs each of them, even if one is interrupted or fails
    ):
        checked = [Customer(case, run) for case in CASES]
        erasures.callback(_fail, stack, left)
        for customer in checked:
            erasures.push(partial(_erase, stack, customer, began, left))
        try:
            follow(checked, http, api, began + FOLLOWED_SECONDS)
            accepted = [customer for customer in checked if customer.is_accepted]
            for customer in accepted:
                customer.execution = _execution(stack, customer, began + FOLLOWED_SECONDS)  # the status may be ahead
            _show(checked, console)
            for customer in (it for it in accepted if not it.is_as_expected):
                with suppress(execution.NoExecution):
                    console.print(trace.table(trace.trace(stack, customer.customer_id)))
        except KeyboardInterrupt:
            ids = [it.customer_id for it in checked if it.may_exist]
            lines = [f"Interrupted. Erasing {len(ids)} customers; if you end that too, run:", *_commands(stack, ids)]
            console.print(*lines, sep="\n", soft_wrap=True)
            raise
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
    if onboarding.status == _AWAITED:
        return _AWAITED
    if onboarding.errors:
        return f"{onboarding.status} for {', '.join(error['field'] for error in onboarding.errors)}"
    return f"{onboarding.status}, {onboarding.welcome_email}"


def _show(checked: Sequence[Customer], console: Console) -> None:
    names = ("customer", "expected (status, e-mail)", "actual", "took", "execution and events")
    console.print(listing(*names, rows=map(_row, checked), right={"took"}))
    if any(customer.is_awaited for customer in checked):
        console.print(f"{_AWAITED}: the check ends there, as nobody reads the mailboxes to confirm the address.")


def _row(customer: Customer) -> Iterator[str | Text]:
    mark = Text("✓ ", "bold green") if customer.is_as_expected else Text("✗ ", "bold red")
    yield mark + Text(customer.case.name, "default")
    yield from (customer.expected[0], customer.actual, f"{customer.seconds:.1f} s", customer.execution_and_steps)


def _execution(stack: Stack, customer: Customer, deadline: float) -> str:
    """The status of the customer's execution, once it has ended or waits for the customer, or the time is up."""
    while True:
        status = NO_EXECUTION
        with suppress(execution.NoExecution):
            status = execution.describe(stack, customer.customer_id)["status"]
        has_ended = status not in {*execution.RUNNING, NO_EXECUTION}
        if has_ended or customer.is_awaited or time.monotonic() > deadline:
            return status
        time.sleep(PAUSE_SECONDS)


def _erase(
    stack: Stack, customer: Customer, began: float, left: dict[str, str], kind: type[BaseException] | None, *_: object
) -> None:
    """Erase a customer, at once after an interruption; if that fails, add the customer to `left`, with the reason."""
    is_interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
    if customer.may_exist:
        ends_by, deadline = 0 if is_interrupted else began + FOLLOWED_SECONDS, began + MOST_SECONDS
        try:
            _end_and_erase(stack, customer.customer_id, ends_by, deadline)
        except (NotPossible, BotoCoreError, ClientError) as error:
            left[customer.customer_id] = str(error)
        except KeyboardInterrupt:
            left[customer.customer_id] = "Interrupted"
            raise


def _end_and_erase(stack: Stack, customer_id: str, ends_by: float, deadline: float) -> None:
    """Erase a customer once the execution has ended or waits for the customer. Stop it if it runs after `ends_by`."""
    while True:
        now = time.monotonic()
        try:
            customers.erase(stack, customer_id, force=True, deadline=deadline)
        except execution.StillRunning:
            if now > ends_by:
                execution.stop(stack, customer_id, "CheckEnded")
        except execution.NoExecution:
            if now > ends_by:  # what a registration in the queue does later meets the tombstones
                task = {"customerId": customer_id, "correlationId": str(uuid4()), "systems": stack.systems}
                execution.erase(stack, task, deadline)
                return
        else:
            return
        time.sleep(PAUSE_SECONDS)


def _fail(stack: Stack, left: Mapping[str, str]) -> None:
    """Raise `NotPossible` if a customer is not erased."""
    if left:
        reasons = (f"{customer_id} is not erased: {reason}" for customer_id, reason in left.items())
        raise NotPossible("\n".join([*reasons, "Run:", *_commands(stack, left)]))


def _commands(stack: Stack, customer_ids: Iterable[str]) -> Iterator[str]:
    """The commands that erase these customers."""
    profile, place = stack.session.profile_name, "" if _is_local(stack) else f" --stack {stack.name}"
    signed_in = f"AWS_PROFILE={profile} " if place and profile != "default" else ""
    yield from (f"{signed_in}.venv/bin/onboarding erase {it}{place} --force" for it in customer_ids)


def _is_local(stack: Stack) -> bool:
    return httpx.URL(stack.api_url).host == HOST  # the user's proxy can't reach it
