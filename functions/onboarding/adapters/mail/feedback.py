"""Amazon SES's feedback on an e-mail to a customer: sent, and hours or days later perhaps a bounce or a complaint.

The e-mail's message tags identify the customer. The recipient's address, also in the report, is not read.
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AwareDatetime, Field
from pydantic.alias_generators import to_camel

from onboarding.adapters.bus import Envelope
from onboarding.domain.events import WelcomeEmailFailed
from onboarding.domain.models import Message

if TYPE_CHECKING:
    from mypy_boto3_sesv2.type_defs import MessageTagTypeDef

    from onboarding.domain.tasks import Recipient

# What a tag's value may not contain. https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
_NO_TAG = re.compile(r"[^0-9A-Za-z_-]")
_LONGEST_TAG = 256

_SUPPRESSED = "OnAccountSuppressionList"


class SesMail(Message):
    """The e-mail; SES adds its own tags to the sender's, and gives each as a list of values."""

    message_id: str
    tags: Annotated[dict[str, list[str]], Field(default_factory=dict)]


class Send(Message):
    """SES accepted the e-mail. The document is empty."""


class Bounce(Message):
    """The e-mail came back. SES reports a soft bounce only once it has given up trying."""

    bounce_type: str
    bounce_sub_type: str
    timestamp: AwareDatetime


class Complaint(Message):
    """The recipient's provider reported the e-mail, mostly as spam."""

    complaint_sub_type: str | None = None
    complaint_feedback_type: str | None = None
    timestamp: AwareDatetime


class Feedback(Message):
    """The detail of SES's events Email Sent, Email Bounced and Email Complaint Received."""

    mail: SesMail
    send: Send | None = None
    bounce: Bounce | None = None
    complaint: Complaint | None = None


class Sent(Message):
    """SES accepted a customer's welcome e-mail, and gave it this id."""

    customer_id: str
    correlation_id: str
    message_id: str


class CodeNotReceived(Message):
    """The e-mail with a code bounced, or its recipient complained. The customer has no account yet."""

    customer_id: str
    correlation_id: str
    reason: str


def tags(task: "Recipient") -> "list[MessageTagTypeDef]":
    """Return the message tags that identify an e-mail in SES's feedback; without an account it is no welcome e-mail.

    Characters that SES refuses in a tag become `_`, so that no value makes the e-mail fail.
    """
    fields = ("customer_id", "account_id", "correlation_id")
    values = {to_camel(name): str(getattr(task, name)) for name in fields if hasattr(task, name)}
    return [{"Name": name, "Value": _NO_TAG.sub("_", value)[:_LONGEST_TAG] or "_"} for name, value in values.items()]


def read(body: str) -> Sent | WelcomeEmailFailed | CodeNotReceived | None:
    """Return what SES's feedback in an EventBridge envelope says: what to record, to publish or to log.

    None if the e-mail lacks our tags, has a code and was sent, or arrived after all. A bounce and a complaint about the
    same e-mail have one eventId, so consumers keep one of them: an e-mail that bounced is hardly ever complained about.

    Raises:
        pydantic.ValidationError: not an envelope, or not SES's feedback.
    """
    feedback = Feedback.model_validate(Envelope.model_validate_json(body).detail)
    found = {name: values[0] for name, values in feedback.mail.tags.items() if values}
    if not {"customerId", "correlationId"} <= found.keys():
        return None
    customer = {"customer_id": found["customerId"], "correlation_id": found["correlationId"]}
    account_id = found.get("accountId")
    if feedback.send:
        return Sent(**customer, message_id=feedback.mail.message_id) if account_id else None
    if feedback.bounce and not _may_be_an_automatic_reply(feedback.bounce):
        reason, occurred_at = "BOUNCED", feedback.bounce.timestamp
    elif feedback.complaint and feedback.complaint.complaint_feedback_type != "not-spam":
        # After an earlier complaint the address is on the suppression list, and SES sent nothing.
        suppressed = feedback.complaint.complaint_sub_type == _SUPPRESSED
        reason, occurred_at = "BOUNCED" if suppressed else "COMPLAINED", feedback.complaint.timestamp
    else:
        return None
    if not account_id:
        return CodeNotReceived(**customer, reason=reason)
    return WelcomeEmailFailed.of(**customer, occurred_at=occurred_at, account_id=account_id, reason=reason)


def _may_be_an_automatic_reply(bounce: Bounce) -> bool:
    """Whether the bounce may be an out-of-office reply to an e-mail that did arrive.

    https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html#event-publishing-retrieving-sns-contents-bounce-types
    """
    return (bounce.bounce_type, bounce.bounce_sub_type) == ("Transient", "General")
