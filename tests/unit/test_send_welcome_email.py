"""The function of the task SendWelcomeEmail."""

import time
from contextlib import ExitStack
from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from botocore.exceptions import ClientError, ConnectionError, SSLError  # noqa: A004 - botocore's own
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from onboarding.adapters.mail import render
from onboarding.adapters.mail.attempts import Attempts
from onboarding.domain.errors import (
    EmailOutcomeUnknown,
    EmailSenderBlocked,
    EmailServiceUnavailable,
    EmailUnconfirmed,
    EmailUndeliverable,
)
from onboarding.domain.tasks import WelcomeEmailTask
from tests.in_process.template import reference_to
from tests.invocations import a_welcome_email_task, failures, sample
from tests.unit.deployment import RESOURCES, Functions
from tests.unit.faults import OUT_OF_REACH, during, failing, losing_the_answer, refusing
from tests.unit.runtime import Runtime
from tests.unit.table import Table
from tests.wiring.definition import rendered

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
# Without a connection, nothing was sent. Otherwise SES may have accepted the e-mail.
NOT_CONNECTED = [
    error for error in OUT_OF_REACH if isinstance(error, ConnectionError) and not isinstance(error, SSLError)
]
GATEWAY: Any = {"Error": {"Code": "GatewayTimeout"}, "ResponseMetadata": {"HTTPStatusCode": 504}}
LOST = [
    *(error for error in OUT_OF_REACH if error not in NOT_CONNECTED),
    ResponseParserError("no JSON"),
    ClientError(GATEWAY, "SendEmail"),
]
# SES's report of the e-mail that `a_welcome_email_task` sends, and its id there.
REPORT, REPORTED = sample("publish_email_feedback/sent"), "010f0193-5b1f-4e7a-8c1d-3f6a2b9d0e55-000000"

pytestmark = pytest.mark.usefixtures("idempotency_table")


def test_email_has_both_parts_and_its_tags(runtime: Runtime, functions: Functions) -> None:
    task = a_welcome_email_task()
    rendered = render(WelcomeEmailTask.model_validate(task), functions[FUNCTION].SENDER)

    with Stubber(functions[FUNCTION].ses) as ses:
        ses.add_response(
            "send_email",
            {"MessageId": "message-1"},
            {
                "FromEmailAddress": functions[FUNCTION].SENDER.mailbox,
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
                "ConfigurationSetName": reference_to("EmailConfigurationSet"),
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
    code: str, words: str, meaning: type[Exception], runtime: Runtime, functions: Functions, outbox: list[Any]
) -> None:
    task = a_welcome_email_task()
    words = f"{words}: {task['firstName']} {task['email']}"

    for _ in range(3):  # no attempt counts
        with refusing(functions[FUNCTION].ses, "send_email", code, words), pytest.raises(meaning, match=f"^{code}$"):
            runtime.invoke(FUNCTION, task)

    assert runtime.invoke(FUNCTION, task) == {"messageId": outbox[0].id}


@pytest.mark.parametrize("error", NOT_CONNECTED, ids=lambda error: type(error).__name__)
def test_unreachable_ses_is_retried(
    error: Exception, runtime: Runtime, functions: Functions, outbox: list[Any]
) -> None:
    task = a_welcome_email_task()

    for _ in range(3):
        with (
            failing(functions[FUNCTION].ses, "SendEmail", error),
            pytest.raises(EmailServiceUnavailable, match=f"^{type(error).__name__}$"),
        ):
            runtime.invoke(FUNCTION, task)

    assert runtime.invoke(FUNCTION, task) == {"messageId": outbox[0].id}


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_lost_answer_is_tried_once_more(
    error: Exception, runtime: Runtime, functions: Functions, outbox: list[Any]
) -> None:
    for mails in (1, 2):
        lose_the_answer(error, runtime, functions)
        assert len(outbox) == mails

    for _ in range(2):
        with pytest.raises(EmailUnconfirmed):
            runtime.invoke(FUNCTION, a_welcome_email_task())
    assert len(outbox) == 2


def test_killed_attempt_has_unknown_outcome(runtime: Runtime, functions: Functions, outbox: list[Any]) -> None:
    task = a_welcome_email_task()
    with losing_the_answer(functions[FUNCTION].ses, "SendEmail", SystemExit()), pytest.raises(SystemExit):
        runtime.invoke(FUNCTION, task)

    with pytest.raises(EmailOutcomeUnknown):
        runtime.invoke(FUNCTION, task)
    assert len(outbox) == 1

    assert runtime.invoke(FUNCTION, task) == {"messageId": outbox[1].id}


@pytest.mark.parametrize("attempts", [1, 2])
def test_reported_email_is_not_sent_again(
    attempts: int, runtime: Runtime, functions: Functions, outbox: list[Any]
) -> None:
    for _ in range(attempts):
        lose_the_answer(LOST[0], runtime, functions)

    assert runtime.invoke("publish_email_feedback", REPORT) == failures()

    assert runtime.invoke(FUNCTION, a_welcome_email_task()) == {"messageId": REPORTED}
    assert len(outbox) == attempts


def test_call_meanwhile_sends_nothing(runtime: Runtime, functions: Functions, outbox: list[Any]) -> None:
    task = a_welcome_email_task()

    def call() -> None:
        with pytest.raises(EmailOutcomeUnknown):
            runtime.invoke(FUNCTION, task)

    with during(functions[FUNCTION].ses, "SendEmail", call):
        lose_the_answer(LOST[0], runtime, functions)
    assert len(outbox) == 1

    assert runtime.invoke(FUNCTION, task) == {"messageId": outbox[1].id}


def test_records_out_of_reach_fail_the_try(runtime: Runtime, functions: Functions, outbox: list[Any]) -> None:
    error = OUT_OF_REACH[0]
    with failing(functions[FUNCTION].dynamodb, "UpdateItem", error), pytest.raises(type(error)):
        runtime.invoke(FUNCTION, a_welcome_email_task())

    assert outbox == []


def test_attempt_counted_again_by_botocore_is_one(functions: Functions, idempotency_table: Table) -> None:
    attempts = Attempts("ada", dynamodb=functions[FUNCTION].dynamodb, table_name=idempotency_table.name)

    assert (attempts.begin(), attempts.begin()) == (None, None)


def test_email_that_was_not_recorded_was_sent(runtime: Runtime, functions: Functions, outbox: list[Any]) -> None:
    module = functions[FUNCTION]
    with ExitStack() as stack:
        outage = failing(module.dynamodb, "UpdateItem", OUT_OF_REACH[0])
        with during(module.ses, "SendEmail", lambda: stack.enter_context(outage)):
            answer = runtime.invoke(FUNCTION, a_welcome_email_task())

    assert answer == {"messageId": outbox[0].id}
    assert [line["level"] for line in runtime.log] == ["ERROR", "INFO"]


def test_email_sent_by_release_1_0_is_not_repeated(
    runtime: Runtime, functions: Functions, outbox: list[Any], idempotency_table: Table
) -> None:
    record = {
        "id": {"S": "send_welcome_email#10890dd677c61d218b68c6b053e2293115a3993dabc621dcaceadace588bc9d8"},
        "expiration": {"N": "1798267743"},
        "status": {"S": "COMPLETED"},
        "data": {"S": '"message-0"'},
    }
    functions[FUNCTION].dynamodb.put_item(TableName=idempotency_table.name, Item=record)

    assert runtime.invoke(FUNCTION, a_welcome_email_task()) == {"messageId": "message-0"}
    assert outbox == []


def test_release_1_0_can_read_the_record(functions: Functions, idempotency_table: Table) -> None:
    dynamodb = functions[FUNCTION].dynamodb
    records = DynamoDBPersistenceLayer(table_name=idempotency_table.name, boto3_client=dynamodb)
    attempts = Attempts("ada", dynamodb=dynamodb, table_name=idempotency_table.name)

    attempts.begin()
    (key,) = idempotency_table.items
    begun = records._get_record(key)
    attempts.succeed("message-0")
    sent = records._get_record(key)

    assert (begun.status, begun.in_progress_expiry_timestamp is None) == ("INPROGRESS", False)
    assert (sent.status, sent.response_data) == ("COMPLETED", '"message-0"')


def test_record_outlives_every_redrive(runtime: Runtime, outbox: list[Any], idempotency_table: Table) -> None:
    runtime.invoke(FUNCTION, a_welcome_email_task())

    (record,) = idempotency_table.items.values()

    expires_at = RESOURCES["IdempotencyTable"]["Properties"]["TimeToLiveSpecification"]["AttributeName"]
    redrivable = 14 * 24 * 60 * 60
    assert int(record[expires_at]["N"]) > time.time() + rendered()["TimeoutSeconds"] + redrivable


def lose_the_answer(error: Exception, runtime: Runtime, functions: Functions) -> None:
    """SES sends the e-mail, but the function never learns that."""
    with losing_the_answer(functions[FUNCTION].ses, "SendEmail", error), pytest.raises(EmailOutcomeUnknown):
        runtime.invoke(FUNCTION, a_welcome_email_task())
