"""The confirmation of an e-mail address: the tasks that ask for it, and the two routes of the API."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from cli.operate import execution
from onboarding.adapters import confirmations
from onboarding.adapters.confirmations import Confirmation
from onboarding.domain.errors import AccountErased, EmailNotConfirmed, EmailOutcomeUnknown, EmailServiceUnavailable
from onboarding.domain.events import CustomerRegistered, CustomerValidated
from tests.in_process import aws
from tests.invocations import (
    a_batch,
    a_confirmation,
    a_confirmation_task,
    a_customer_task,
    a_resend,
    a_status_request,
    an_envelope,
    an_event,
    sample,
)
from tests.unit.deployment import CORS, RESOURCES, Functions
from tests.unit.faults import DENIED, OUT_OF_REACH, during, failing, losing_the_answer, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table
from tests.wiring.definition import rendered
from tests.wiring.expressions import evaluate

ASK, ANSWER = "request_confirmation", "confirm_email"
CUSTOMER = "ada"
WRONG = "A" * 24
DAY = timedelta(days=1)
Ask = Callable[..., list[str]]
Post = Callable[..., tuple[int, dict[str, Any]]]
Withdraw = Callable[[], str | None]

pytestmark = pytest.mark.usefixtures("idempotency_table")


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The time, which stands still: no day ends in a test."""
    now = datetime.now(UTC)
    monkeypatch.setattr(
        confirmations, "datetime", SimpleNamespace(now=lambda _: now, fromisoformat=datetime.fromisoformat)
    )
    return now


@pytest.fixture
def ask(runtime: Runtime, outbox: list[Any]) -> Ask:
    """Has the workflow ask the customer; returns the codes in all e-mails so far."""

    def ask(customer_id: str = CUSTOMER, **changes: Any) -> list[str]:
        runtime.invoke(ASK, a_confirmation_task(customerId=customer_id, **changes))
        return mailed(outbox)

    return ask


@pytest.fixture
def post(runtime: Runtime) -> Post:
    """Posts a code, or asks for another without one; returns the status and the document."""

    def post(code: str | None, customer_id: str = CUSTOMER) -> tuple[int, dict[str, Any]]:
        request = a_confirmation(customer_id, code) if code else a_resend(customer_id)
        answer = runtime.invoke(ANSWER, request)
        return answer["statusCode"], json.loads(answer["body"] or "{}")

    return post


@pytest.fixture
def withdraw(functions: Functions, idempotency_table: Table) -> Withdraw:
    """Does what the operator's command does first."""
    dynamodb = functions[ANSWER].dynamodb
    return Confirmation(CUSTOMER, dynamodb=dynamodb, table_name=idempotency_table.name).withdraw


@pytest.fixture
def went_on(functions: Functions) -> Any:
    """The tokens by which the workflow could go on."""
    with aws.recorded() as calls:
        yield lambda: [it.parameters["taskToken"] for it in calls if it.operation == "SendTaskSuccess"]


def mailed(outbox: list[Any]) -> list[str]:
    return [re.findall(r"&amp;code=(\w+)\"", mail.body)[0] for mail in outbox]


def expire(functions: Functions, customer_id: str = CUSTOMER) -> None:
    """Do what the state ExpireConfirmation does; raises what DynamoDB does."""
    arguments = rendered()["States"]["ExpireConfirmation"]["Arguments"]
    functions[ANSWER].dynamodb.update_item(**evaluate(arguments, {}, {"customerId": customer_id}))


def test_mailed_code_lets_the_workflow_go_on(ask: Ask, post: Post, went_on: Any, outbox: list[Any]) -> None:
    (code,) = ask(taskToken="token-1")

    answers = [post(it) for it in (code, code.lower(), f" {code} ")]  # again and again

    assert answers == [(204, {})] * 3
    assert went_on() == ["token-1"] * 3  # the first answer may have been lost
    assert len(outbox) == 1


def test_answers_can_be_read_from_other_origins(runtime: Runtime, ask: Ask) -> None:
    (code,) = ask()

    for request in (a_confirmation(CUSTOMER, code), a_confirmation(CUSTOMER, WRONG), a_resend(CUSTOMER)):
        assert CORS.items() <= runtime.invoke(ANSWER, request)["headers"].items()


@pytest.mark.parametrize("code", ["TaskTimedOut", "InvalidToken", "TaskDoesNotExist"])
def test_used_token_is_no_failure(code: str, ask: Ask, post: Post, functions: Functions) -> None:
    (mailed,) = ask()

    with refusing(functions[ANSWER].sfn, "send_task_success", code):
        assert post(mailed) == (204, {})


def test_workflow_out_of_reach_can_be_tried_again(ask: Ask, post: Post, functions: Functions, went_on: Any) -> None:
    (code,) = ask()

    with refusing(functions[ANSWER].sfn, "send_task_success", "ThrottlingException"):
        assert post(code)[0] == 503
    assert post(code)[0] == 204
    assert len(went_on()) == 2


def test_confirmed_customer_is_not_asked_again(ask: Ask, post: Post, went_on: Any, outbox: list[Any]) -> None:
    """A redrive, and the reminder, find the confirmation that came in between."""
    (code,) = ask(taskToken="token-1")
    post(code)

    ask(taskToken="token-2")

    assert went_on() == ["token-1", "token-2"]
    assert len(outbox) == 1


def test_newest_token_lets_it_go_on(ask: Ask, post: Post, functions: Functions, went_on: Any) -> None:
    (code,) = ask(taskToken="token-1")

    def ask_again() -> None:
        ask(taskToken="token-2")

    with during(functions[ANSWER].dynamodb, "UpdateItem", ask_again):
        assert post(code)[0] == 204

    assert went_on() == ["token-2"]


def test_record_has_a_token_once(ask: Ask, idempotency_table: Table) -> None:
    """It is long: with it twice, each write would cost more."""
    ask(taskToken="token-1")

    assert str(idempotency_table.items).count("token-1") == 1


def test_each_mailed_code_confirms(ask: Ask, post: Post) -> None:
    ask()
    ask(taskToken="token-2", expiresInSeconds=60)
    assert post(None)[0] == 202
    three = ask(taskToken="token-3")  # no fourth e-mail on one day

    assert len(set(three)) == 3
    assert [post(code)[0] for code in three] == [204] * 3


@pytest.mark.slow
def test_thousand_wrong_codes_confirm_nobody(ask: Ask, post: Post, idempotency_table: Table, went_on: Any) -> None:
    (code,) = ask()

    with aws.recorded() as calls:
        answers = [post(f"{number:024}") for number in range(1000)]

    assert [(status, it.get("attemptsLeft")) for status, it in answers[:10]] == [
        (422, left) for left in range(9, -1, -1)
    ]
    assert [status for status, _ in answers[10:]] == [429] * 990
    assert sum(it.operation == "UpdateItem" for it in calls) == 10
    assert went_on() == []
    assert post(code)[0] == 204


def test_attempts_at_once_are_all_counted(functions: Functions, ask: Ask, post: Post) -> None:
    ask()
    left: list[int] = []

    def attempt() -> None:
        left.append(post(WRONG)[1]["attemptsLeft"])

    for _ in range(5):
        with during(functions[ANSWER].dynamodb, "UpdateItem", attempt):
            attempt()

    assert left == [*range(9, -1, -1)]
    assert post(WRONG)[0] == 429


def test_code_of_another_customer_is_wrong(ask: Ask, post: Post) -> None:
    ask("eve")
    code, _ = ask()

    assert post(code)[0] == 422


def test_expired_customer_is_gone(ask: Ask, post: Post, functions: Functions, went_on: Any, outbox: list[Any]) -> None:
    (code,) = ask()
    for _ in range(2):  # a redrive
        expire(functions)

    assert [post(it)[0] for it in (code, WRONG)] == [410, 410]
    assert post(None)[0] == 202
    assert (went_on(), len(outbox)) == ([], 1)


def test_confirmation_just_before_it_expires_counts(ask: Ask, post: Post, functions: Functions) -> None:
    (code,) = ask()
    post(code)

    with pytest.raises(functions[ANSWER].dynamodb.exceptions.ConditionalCheckFailedException):
        expire(functions)
    assert post(code)[0] == 204


def test_confirmation_while_it_expires_is_refused(ask: Ask, post: Post, functions: Functions, went_on: Any) -> None:
    (code,) = ask()

    with during(functions[ANSWER].dynamodb, "UpdateItem", lambda: expire(functions)):
        assert post(code)[0] == 410
    assert went_on() == []


def test_withdrawn_code_never_works_again(  # noqa: PLR0913, PLR0917 - the world of an erasure
    ask: Ask, post: Post, functions: Functions, withdraw: Withdraw, went_on: Any, idempotency_table: Table
) -> None:
    (code,) = ask(taskToken="token-1")

    assert [withdraw(), withdraw()] == ["token-1", "token-1"]  # the first answer may have been lost

    assert "ada.lovelace" not in str(idempotency_table.items)
    assert [post(it)[0] for it in (code, WRONG, None)] == [404, 404, 202]
    with pytest.raises(AccountErased):
        ask(taskToken="token-2")  # the next try, or the reminder
    expire(functions)
    assert [post(it)[0] for it in (code, WRONG, None)] == [404, 404, 202]
    assert went_on() == []


def test_confirmation_while_it_is_withdrawn_is_refused(
    ask: Ask, post: Post, functions: Functions, withdraw: Withdraw, went_on: Any
) -> None:
    (code,) = ask()

    with during(functions[ANSWER].dynamodb, "UpdateItem", withdraw):
        assert post(code)[0] == 404
    assert went_on() == []


def test_withdrawn_customer_gets_no_other_code(
    ask: Ask, post: Post, functions: Functions, withdraw: Withdraw, outbox: list[Any]
) -> None:
    ask()

    with during(functions[ANSWER].dynamodb, "UpdateItem", withdraw):
        assert post(None)[0] == 202
    assert len(outbox) == 1


def test_confirmation_is_not_withdrawn(ask: Ask, post: Post, functions: Functions, withdraw: Withdraw) -> None:
    assert withdraw() is None  # nobody is asked yet
    (code,) = ask()

    with during(functions[ANSWER].dynamodb, "UpdateItem", lambda: post(code)):
        assert withdraw() is None
    assert withdraw() is None
    assert post(code)[0] == 204


@pytest.mark.usefixtures("customers_table")
def test_nobody_else_has_anything_to_confirm(ask: Ask, post: Post, runtime: Runtime) -> None:
    ask("eve")
    runtime.invoke("erase_customer", sample("erase_customer/plain") | {"customerId": "eve"})

    for customer_id in ("never-asked", "eve"):
        assert post(WRONG, customer_id)[0] == 404
    with pytest.raises(AccountErased):
        ask("eve")


@pytest.mark.usefixtures("customers_table")
def test_erased_customer_expires_unconfirmed(
    ask: Ask, functions: Functions, runtime: Runtime, idempotency_table: Table
) -> None:
    ask()
    runtime.invoke("erase_customer", sample("erase_customer/plain") | {"customerId": CUSTOMER})

    expire(functions)  # if the condition failed, the customer would count as confirmed

    kept = idempotency_table.items[f"email_confirmation#{CUSTOMER}"]
    assert kept.keys() == {"id", "erased", "expired", "expiration"}


def test_erasure_can_be_repeated_before_the_next_try(
    ask: Ask, functions: Functions, runtime: Runtime, idempotency_table: Table, customers_table: Table
) -> None:
    stack = Mock(outputs={"CustomersTableName": customers_table.name})
    stack.resources.return_value = [("IdempotencyTable", idempotency_table.name)]
    stack.session.client.return_value = functions[ANSWER].dynamodb
    assert not execution.end_wait(stack, CUSTOMER)
    ask()
    runtime.invoke("erase_customer", sample("erase_customer/plain") | {"customerId": CUSTOMER})

    assert execution.end_wait(stack, CUSTOMER)


def test_resend_answers_anybody_alike(ask: Ask, post: Post, functions: Functions, outbox: list[Any]) -> None:
    ask("waiting")
    post(ask("confirmed")[-1], "confirmed")
    ask("expired")
    expire(functions, "expired")
    before = len(outbox)

    (answer,) = {json.dumps(post(None, it)) for it in ("never-asked", "waiting", "confirmed", "expired")}

    assert json.loads(answer)[0] == 202
    assert len(outbox) == before + 1


def test_customer_is_mailed_three_times_a_day(
    ask: Ask, post: Post, outbox: list[Any], today: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    for _ in range(9):
        assert post(None)[0] == 202
    assert len(outbox) == 3

    clock = SimpleNamespace(now=lambda _: today + DAY, fromisoformat=datetime.fromisoformat)
    monkeypatch.setattr(confirmations, "datetime", clock)
    post(None)
    assert len(outbox) == 4


def test_code_is_not_mailed_when_it_is_too_late(
    ask: Ask, post: Post, outbox: list[Any], today: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The execution was stopped, so nobody has noted that the time is over."""
    ask(expiresInSeconds=60)

    clock = SimpleNamespace(now=lambda _: today + DAY, fromisoformat=datetime.fromisoformat)
    monkeypatch.setattr(confirmations, "datetime", clock)

    assert post(None)[0] == 202
    assert len(outbox) == 1


def test_address_is_mailed_five_times_a_day(ask: Ask, post: Post, outbox: list[Any]) -> None:
    """However many registrations name it, in upper or lower case, and with a tag."""
    for number in range(9):
        ask(f"customer-{number}", email=f"Ada+{number}@example.com" if number % 2 else "ada@EXAMPLE.com")
        post(None, f"customer-{number}")

    assert len(outbox) == 5


def test_email_that_was_not_sent_is_not_counted(ask: Ask, functions: Functions, idempotency_table: Table) -> None:
    for _ in range(6):
        with (
            refusing(functions[ASK].ses, "send_email", "TooManyRequestsException"),
            pytest.raises(EmailServiceUnavailable),
        ):
            ask()

    assert len(ask()) == 1
    assert len(idempotency_table.items[f"email_confirmation#{CUSTOMER}"]["codes"]["SS"]) == 1


def test_email_that_was_not_sent_allows_no_codes(ask: Ask, post: Post, functions: Functions) -> None:
    ask()
    post(WRONG)

    with failing(functions[ANSWER].ses, "SendEmail", DENIED):
        post(None)

    left = [post(WRONG)[1].get("attemptsLeft") for _ in range(10)]
    assert left == [*range(8, -1, -1), None]


def test_lost_answers_mail_three_times_at_most(ask: Ask, functions: Functions, outbox: list[Any]) -> None:
    for _ in range(3):
        with losing_the_answer(functions[ASK].ses, "SendEmail", OUT_OF_REACH[-1]), pytest.raises(EmailOutcomeUnknown):
            ask()

    assert len(ask()) == 3


def test_undeliverable_code_is_waited_for(ask: Ask, post: Post, functions: Functions) -> None:
    with refusing(functions[ASK].ses, "send_email", "MessageRejected", "Address blacklisted."):
        assert ask() == []

    assert post(WRONG)[0] == 422


@pytest.mark.parametrize(
    ("client", "operation", "error", "levels"),
    [
        ("ses", "SendEmail", DENIED, {"INFO", "ERROR"}),
        ("ses", "SendEmail", OUT_OF_REACH[0], {"INFO"}),  # an ERROR would roll a deployment back
        ("dynamodb", "UpdateItem", DENIED, {"INFO", "ERROR"}),
    ],
)
def test_resend_that_fails_answers_alike(  # noqa: PLR0913, PLR0917 - the world of a request
    client: str,
    operation: str,
    error: Exception,
    levels: set[str],
    ask: Ask,
    post: Post,
    functions: Functions,
    runtime: Runtime,
) -> None:
    ask()

    with failing(getattr(functions[ANSWER], client), operation, error):
        assert post(None) == post(None, "never-asked")
    assert {line["level"] for line in runtime.log} == levels


def test_account_waits_for_the_confirmation(ask: Ask, post: Post, runtime: Runtime, customers_table: Table) -> None:
    task = a_customer_task(customerId=CUSTOMER, emailConfirmation="required")
    with pytest.raises(EmailNotConfirmed):
        runtime.invoke("create_account", task)
    (code,) = ask()
    with pytest.raises(EmailNotConfirmed):
        runtime.invoke("create_account", task)
    assert customers_table.items == {}  # the address is nobody's yet

    post(code)

    assert runtime.invoke("create_account", task)["accountId"]
    assert {line["level"] for line in runtime.log} == {"INFO"}


@pytest.mark.usefixtures("timelines_table")
def test_status_says_until_when_it_waits(ask: Ask, post: Post, runtime: Runtime, today: datetime) -> None:
    def status() -> dict[str, Any]:
        answer = runtime.invoke("get_onboarding", a_status_request(CUSTOMER))
        return {"after": answer["headers"].get("Retry-After"), **json.loads(answer["body"])}

    runtime.invoke(
        "track_onboarding", a_batch(*(an_envelope(an_event(it)) for it in (CustomerRegistered, CustomerValidated)))
    )
    (code,) = ask(expiresInSeconds=86400)

    waiting = status()
    assert (waiting["status"], waiting["after"]) == ("AWAITING_CONFIRMATION", "30")
    assert datetime.fromisoformat(waiting["confirmationExpiresAt"]) == today.replace(microsecond=0) + DAY
    post(code)
    assert (status()["status"], status()["after"]) == ("VALIDATED", "2")
    assert "confirmationExpiresAt" not in status()


def test_nothing_personal_is_kept_longer_than_needed(
    ask: Ask, post: Post, functions: Functions, idempotency_table: Table
) -> None:
    (code,) = ask()
    ask("eve", email="eve@example.com")
    post(code)
    expire(functions, "eve")

    kept = str(idempotency_table.items)
    assert not [it for it in ("Ada", "ada.lovelace", "eve@example.com", code) if it in kept]


def test_records_outlive_every_redrive(ask: Ask, idempotency_table: Table) -> None:
    ask()

    name = RESOURCES["IdempotencyTable"]["Properties"]["TimeToLiveSpecification"]["AttributeName"]
    left = {key.partition("#")[0]: int(it[name]["N"]) - time.time() for key, it in idempotency_table.items.items()}
    assert left["email_confirmation"] > rendered()["TimeoutSeconds"] + 14 * 24 * 60 * 60
    assert left["confirmation_emails"] <= 2 * 24 * 60 * 60
