"""…/email-confirmation below /api/customers/{customerId}: confirm the e-mail address by the mailed code.

POST takes the code, …/resend mails another, and GET shows the page that the mailed link opens.
"""

from contextlib import suppress
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from confirm_email import page
from onboarding.adapters import confirmations, mail, workflow
from onboarding.adapters.mail.confirmation import send_code
from onboarding.domain.confirmation import Code, Resent
from onboarding.domain.errors import EmailOutcomeUnknown, EmailSenderBlocked, EmailServiceUnavailable
from onboarding.runtime import api, aws, environment, failures


class Settings(environment.MailSettings):
    idempotency_table: str
    allowed_origin: str


settings = Settings.read()
SENDER = mail.Sender(settings.sender_email, settings.configuration_set, settings.company_name, settings.account_url)
logger = Logger(use_rfc3339=True, utc=True)
ses, dynamodb, sfn = aws.client("sesv2", once=True), aws.client("dynamodb"), aws.client("stepfunctions")


@api.endpoint(
    logger,
    allow_origin=settings.allowed_origin,
    refused="Confirmation refused",
    failed="Confirmation failed",
    unavailable="The confirmation is temporarily unavailable. Try again.",
    refusals={
        confirmations.NothingToConfirm: api.RequestRefused(
            HTTPStatus.NOT_FOUND, "No registration with this id waits for a confirmation."
        ),
        confirmations.ConfirmationExpired: api.RequestRefused(
            HTTPStatus.GONE, "The time to confirm is over. Register again, with a new Idempotency-Key."
        ),
        confirmations.TooManyWrongCodes: api.RequestRefused(
            HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong codes. Use that of the newest e-mail, or have another sent."
        ),
    },
)
def handler(event: dict[str, Any], context: LambdaContext) -> api.Response:
    """Answer 204 or, to …/resend, 202; or a problem: 400, 404, 410, 413, 415, 422, 429, or 503 if AWS is unavailable.

    To …/resend, the answer is the same for anybody, and if the e-mail can't be sent. So is the page, which reads
    nothing, and answers a GET with 200.
    """
    customer_id = api.customer_id_in(event)
    logger.append_keys(customer_id=customer_id)
    if event["httpMethod"] == "GET":
        return show_page(event)
    confirmation = confirmations.Confirmation(customer_id, dynamodb=dynamodb, table_name=settings.idempotency_table)
    return resend(confirmation) if event["resource"].endswith("/resend") else confirm(event, confirmation)


def show_page(event: dict[str, Any]) -> api.Response:
    """The page that the mailed link opens."""
    logger.info("Page shown")
    return page.respond(mail.language_for(api.language_in(event)), settings.company_name)


def resend(confirmation: confirmations.Confirmation) -> api.Response:
    """Mail another code to a customer who is waited for. Only the log says what became of it."""
    pending = confirmation.pending()
    with (
        suppress(*aws.FAILURES, EmailOutcomeUnknown, EmailSenderBlocked, EmailServiceUnavailable),
        # Expected, as in the workflow: while mail is down, no other version of this function does better.
        failures.logged(logger, EmailOutcomeUnknown, EmailServiceUnavailable),
    ):
        sent = send_code(confirmation, pending, SENDER, ses=ses) if pending else "NOT_ASKED"
        logger.info("Code requested again", email=sent)
    return api.respond(HTTPStatus.ACCEPTED, Resent())


def confirm(event: dict[str, Any], confirmation: confirmations.Confirmation) -> api.Response:
    """Confirm the address by the code in the request, and wake the workflow."""
    code = api.document_in(event, Code, what="confirmation").code
    try:
        task_token = confirmation.confirm(code)
    except confirmations.WrongCode as wrong:
        raise api.RequestRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The code is wrong.", attempts_left=wrong.attempts_left
        ) from None
    workflow.complete_task(task_token, sfn=sfn)
    logger.info("E-mail address confirmed")
    return api.no_content()
