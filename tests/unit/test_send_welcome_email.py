"""The function of the task SendWelcomeEmail."""

from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
)
from botocore.stub import Stubber

from onboarding.adapters.mail import render
from onboarding.domain.errors import EmailSenderBlocked, EmailServiceUnavailable, EmailUndeliverable
from onboarding.domain.tasks import WelcomeEmailTask
from tests.invocations import a_welcome_email_task
from tests.unit.deployment import REFERENCES, Functions
from tests.unit.faults import OUT_OF_REACH, failing, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table

FUNCTION = "send_welcome_email"
# An error code of SES, its words, and what they mean: most of them concern the sender or the service.
ERRORS = [
    ("MessageRejected", "Address blacklisted.", EmailUndeliverable),
    ("BadRequestException", "Illegal address", EmailUndeliverable),
    ("BadRequestException", "Local part contains control or whitespace", EmailUndeliverable),
    ("MessageRejected", "Email address is not verified", EmailSenderBlocked),
    ("BadRequestException", "Missing final '@domain'", EmailSenderBlocked),
    ("AccountSuspendedException", "", EmailSenderBlocked),
    ("MailFromDomainNotVerifiedException", "", EmailSenderBlocked),
    ("NotFoundException", "", EmailSenderBlocked),
    ("SendingPausedException", "", EmailSenderBlocked),
    ("AccessDeniedException", "", EmailSenderBlocked),
    ("LimitExceededException", "", EmailServiceUnavailable),
    ("TooManyRequestsException", "", EmailServiceUnavailable),
    ("InternalFailure", "", EmailServiceUnavailable),
    ("ThrottlingException", "", EmailServiceUnavailable),
]

pytestmark = pytest.mark.usefixtures("idempotency_table")


def test_email_has_both_parts_and_its_tags(runtime: Runtime, functions: Functions) -> None:
    task = a_welcome_email_task()
    rendered = render(WelcomeEmailTask.model_validate(task), functions[FUNCTION].SENDER)

    with Stubber(functions[FUNCTION].ses) as ses:
        ses.add_response(
            "send_email",
            {"MessageId": "message-1"},
            {
                "FromEmailAddress": REFERENCES["SenderEmail"],
                "Destination": {"ToAddresses": [task["email"]]},
                "Content": {
                    "Simple": {
                        "Subject": {"Data": rendered.subject, "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": rendered.text, "Charset": "UTF-8"},
                            "Html": {"Data": rendered.html, "Charset": "UTF-8"},
                        },
                    }
                },
                "ConfigurationSetName": REFERENCES["EmailConfigurationSet"],
                "EmailTags": [
                    {"Name": "customerId", "Value": task["customerId"]},
                    {"Name": "accountId", "Value": task["accountId"]},
                    {"Name": "correlationId", "Value": task["correlationId"]},
                ],
            },
        )
        assert runtime.invoke(FUNCTION, task) == {"messageId": "message-1"}
        ses.assert_no_pending_responses()


def test_each_customer_gets_one_email(runtime: Runtime, outbox: list[Any]) -> None:
    ada, grace = a_welcome_email_task(customerId="ada"), a_welcome_email_task(customerId="grace")

    answers = [runtime.invoke(FUNCTION, task) for task in (ada, grace, ada)]

    assert answers == [{"messageId": outbox[number].id} for number in (0, 1, 0)]
    assert len(outbox) == 2


@pytest.mark.parametrize(("code", "words", "meaning"), ERRORS)
def test_ses_error_means_one_of_three(  # noqa: PLR0913, PLR0917
    code: str,
    words: str,
    meaning: type[Exception],
    runtime: Runtime,
    functions: Functions,
    idempotency_table: Table,
) -> None:
    task = a_welcome_email_task()
    words = f"{words}: {task['firstName']} {task['email']}"

    with refusing(functions[FUNCTION].ses, "send_email", code, words), pytest.raises(meaning, match=f"^{code}$"):
        runtime.invoke(FUNCTION, task)

    assert idempotency_table.items == {}


@pytest.mark.parametrize("error", OUT_OF_REACH, ids=lambda error: type(error).__name__)
def test_unreachable_ses_is_retried(
    error: Exception, runtime: Runtime, functions: Functions, outbox: list[Any]
) -> None:
    task = a_welcome_email_task()

    with (
        failing(functions[FUNCTION].ses, "SendEmail", error),
        pytest.raises(EmailServiceUnavailable, match=f"^{type(error).__name__}$"),
    ):
        runtime.invoke(FUNCTION, task)

    assert outbox == []
    assert runtime.invoke(FUNCTION, task) == {"messageId": outbox[0].id}


def test_killed_try_is_repeated_after_its_lock(
    runtime: Runtime, functions: Functions, outbox: list[Any], idempotency_table: Table
) -> None:
    task = a_welcome_email_task()
    with failing(functions[FUNCTION].ses, "SendEmail", SystemExit()), pytest.raises(SystemExit):
        runtime.invoke(FUNCTION, task)

    with pytest.raises(IdempotencyAlreadyInProgressError):
        runtime.invoke(FUNCTION, task)
    assert outbox == []
    idempotency_table.let_locks_expire()

    assert runtime.invoke(FUNCTION, task) == {"messageId": outbox[0].id}


def test_records_out_of_reach_fail_the_try(runtime: Runtime, functions: Functions, outbox: list[Any]) -> None:
    with (
        failing(functions[FUNCTION].records.client, "PutItem", OUT_OF_REACH[0]),
        pytest.raises(IdempotencyPersistenceLayerError),
    ):
        runtime.invoke(FUNCTION, a_welcome_email_task())

    assert outbox == []


def test_email_that_was_not_recorded_was_sent(runtime: Runtime, functions: Functions, outbox: list[Any]) -> None:
    with failing(functions[FUNCTION].records.client, "UpdateItem", OUT_OF_REACH[0]):
        answer = runtime.invoke(FUNCTION, a_welcome_email_task())

    assert answer == {"messageId": outbox[0].id}
    assert [line["level"] for line in runtime.log] == ["ERROR", "INFO"]


def test_record_outlives_every_redrive(runtime: Runtime, outbox: list[Any], idempotency_table: Table) -> None:
    runtime.invoke(FUNCTION, a_welcome_email_task())

    (record,) = idempotency_table.items.values()

    redrivable_days, longest_execution_days = 14, 3
    lives = int(record["expiration"]["N"]) - int(record["in_progress_expiration"]["N"]) / 1000
    assert lives > (redrivable_days + longest_execution_days) * 24 * 60 * 60
