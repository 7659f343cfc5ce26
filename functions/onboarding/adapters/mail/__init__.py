"""The e-mails to a customer: their text and HTML, and how they are sent through Amazon SES."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC
from email.header import Header
from email.utils import formataddr
from html import escape
from http import HTTPStatus
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    HTTPClientError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from onboarding.adapters.mail import feedback
from onboarding.domain.errors import (
    EmailOutcomeUnknown,
    EmailSenderBlocked,
    EmailServiceUnavailable,
    EmailUndeliverable,
)
from onboarding.domain.tasks import WelcomeEmailTask

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

    from onboarding.domain.tasks import ConfirmationEmail

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

# The language of those whose own has no templates.
_FALLBACK = "en"


@dataclass(frozen=True)
class Sender:
    """Who sends: the verified address, the configuration set, and what the e-mail says of the company."""

    address: str
    configuration_set: str
    company_name: str
    account_url: str

    @property
    def mailbox(self) -> str:
        """The address with the company's name, as encoded words where that isn't ASCII.

        https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#SES-SendEmail-request-FromEmailAddress
        """
        if self.company_name.isascii():
            return formataddr((self.company_name, self.address))
        return f"{Header(self.company_name, 'utf-8').encode(linesep='', maxlinelen=75)} <{self.address}>"


@dataclass(frozen=True)
class Email:
    """A rendered e-mail. Only `html` is markup; in it, values are escaped."""

    subject: str
    text: str
    html: str


def render(task: WelcomeEmailTask | ConfirmationEmail, sender: Sender) -> Email:
    """Render the e-mail in the customer's language: the name as typed, the account ID or the code, and a link.

    The templates are beside this module. The first line of the text is the subject.
    """
    language, values = language_for(task.locale), {"company_name": sender.company_name}
    if isinstance(task, WelcomeEmailTask):
        name = "welcome"
        values |= {"account_id": task.account_id, "account_url": sender.account_url}
    else:
        name = "confirmation"
        # No server sees the fragment, so neither a log nor a scanner that follows the link has the code.
        link = f"{task.page or sender.account_url}#customerId={task.customer_id}&code={task.code}"
        values |= {
            "code": task.code,
            "link": link,
            "expires_at": f"{task.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        }
    text = _template(name, language, "txt").substitute(values, first_name=_isolated(task.first_name))
    subject, _, text = text.partition("\n\n")
    values |= {"first_name": task.first_name, "subject": subject}
    html = _template(name, language, "html").substitute({key: escape(value) for key, value in values.items()})
    return Email(subject=subject, text=text, html=html)


def send(task: WelcomeEmailTask | ConfirmationEmail, sender: Sender, *, ses: SESV2Client) -> str:
    """Send the e-mail and return SES's message id.

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
            FromEmailAddress=sender.mailbox,
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
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.GATEWAY_TIMEOUT:
            raise EmailOutcomeUnknown(code) from None
        raise EmailServiceUnavailable(code) from None
    except (SSLError, HTTPClientError, ResponseParserError) as error:
        raise EmailOutcomeUnknown(type(error).__name__) from None
    except ConnectionError as error:  # none was made
        raise EmailServiceUnavailable(type(error).__name__) from None
    return response["MessageId"]


def language_for(locale: str | None) -> str:
    """The customer's language if it has templates, such as `de` for `de-AT`; else English."""
    tags = (locale or "").lower().split("-")
    languages = ("-".join(tags[:length]) for length in range(len(tags), 0, -1))
    return next((it for it in languages if (files(__name__) / f"welcome.{it}.txt").is_file()), _FALLBACK)


def _template(name: str, language: str, kind: str) -> Template:
    return Template((files(__name__) / f"{name}.{language}.{kind}").read_text(encoding="utf-8"))


def _isolated(name: str) -> str:
    """A name from right to left between isolates, as HTML has it in `bdi`: the comma after it stays after it.

    https://www.unicode.org/reports/tr9/#Explicit_Directional_Isolates
    """
    is_rtl = any(unicodedata.bidirectional(character) in {"R", "AL"} for character in name)
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}" if is_rtl else name
