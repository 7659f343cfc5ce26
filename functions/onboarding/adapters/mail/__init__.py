"""The welcome e-mail: its text and HTML, and how it is sent through Amazon SES."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's own
from botocore.parsers import ResponseParserError

from onboarding.adapters.mail import feedback
from onboarding.domain.errors import (
    EmailOutcomeUnknown,
    EmailSenderBlocked,
    EmailServiceUnavailable,
    EmailUndeliverable,
)

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

    from onboarding.domain.tasks import WelcomeEmailTask

# SES's errors about one e-mail, which may yet be about its sender, and those about the sender. All others (throttled,
# failing) are temporary. https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
_REJECTED = {"MessageRejected", "BadRequestException"}
_SENDER_BLOCKED = {
    "AccessDeniedException",
    "AccountSuspendedException",
    "MailFromDomainNotVerifiedException",
    "NotFoundException",
    "SendingPausedException",
}
# A rejection with one of these is about the recipient: the form of the sender's address is the same for everybody. Any
# other may be about the sender, the configuration set or the sandbox ("Email address is not verified", "Missing final
# '@domain'", "… is paused").
# https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html
_ABOUT_RECIPIENT = ("blacklisted", "illegal address", "contains control or whitespace", "contains illegal character")


@dataclass(frozen=True)
class Sender:
    """Who sends: the verified address, the configuration set, and what the e-mail says of the company."""

    address: str
    configuration_set: str
    company_name: str
    account_url: str


@dataclass(frozen=True)
class WelcomeEmail:
    """A rendered e-mail. Only `html` is markup; in it, values are escaped."""

    subject: str
    text: str
    html: str


def render(task: WelcomeEmailTask, sender: Sender) -> WelcomeEmail:
    """Render the e-mail from the templates beside this module: the name as typed, the account ID and a link."""
    values = {
        "first_name": task.first_name,
        "account_id": task.account_id,
        "company_name": sender.company_name,
        "account_url": sender.account_url,
    }
    return WelcomeEmail(
        subject=f"Welcome to {sender.company_name}",
        text=_template("welcome.txt").substitute(values),
        html=_template("welcome.html").substitute({name: escape(value) for name, value in values.items()}),
    )


def send(task: WelcomeEmailTask, sender: Sender, *, ses: SESV2Client) -> str:
    """Send the welcome e-mail and return SES's message id.

    SES has no idempotency token: the caller counts the attempts. Any error but EmailOutcomeUnknown means: not sent.

    Raises:
        EmailUndeliverable: this e-mail can't be sent.
        EmailSenderBlocked: SES refuses the sender until an operator fixes it.
        EmailServiceUnavailable: SES is unreachable, failing or throttling.
        EmailOutcomeUnknown: the connection broke, or SES gave no readable answer in time.
    """
    email = render(task, sender)
    try:
        response = ses.send_email(
            FromEmailAddress=sender.address,
            Destination={"ToAddresses": [task.email]},
            Content={
                "Simple": {
                    "Subject": {"Data": email.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Text": {"Data": email.text, "Charset": "UTF-8"},
                        "Html": {"Data": email.html, "Charset": "UTF-8"},
                    },
                }
            },
            ConfigurationSetName=sender.configuration_set,
            EmailTags=feedback.tags(task),
        )
    except ClientError as error:
        # SES's message may quote the recipient's address, so only the code is passed on, and no chained exception.
        code, words = error.response["Error"]["Code"], error.response["Error"].get("Message", "").lower()
        if code in _REJECTED and any(phrase in words for phrase in _ABOUT_RECIPIENT):
            raise EmailUndeliverable(code) from None
        if code in _REJECTED | _SENDER_BLOCKED:
            raise EmailSenderBlocked(code) from None
        raise EmailServiceUnavailable(code) from None
    except ConnectionError as error:  # none was made
        raise EmailServiceUnavailable(type(error).__name__) from None
    except (HTTPClientError, ResponseParserError) as error:
        raise EmailOutcomeUnknown(type(error).__name__) from None
    return response["MessageId"]


def _template(name: str) -> Template:
    return Template((files(__name__) / name).read_text(encoding="utf-8"))
