"""What Amazon SES reports of a welcome e-mail that it took: a bounce or a complaint, hours or days later.

The e-mail carries whose it is in its message tags; the recipient's address, which the report has too, is left unread.
https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AwareDatetime, Field

from onboarding.adapters.bus import Envelope
from onboarding.domain.events import WelcomeEmailFailed
from onboarding.domain.models import Message

if TYPE_CHECKING:
    from mypy_boto3_sesv2.type_defs import MessageTagTypeDef

    from onboarding.domain.tasks import WelcomeEmailTask

# What SES takes as a tag's value. https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
_NO_TAG = re.compile(r"[^0-9A-Za-z_-]")
_LONGEST_TAG = 256

_SUPPRESSED = "OnAccountSuppressionList"


class Mail(Message):
    """The e-mail; SES adds tags of its own to the sender's, and gives each as a list of its values."""

    tags: Annotated[dict[str, list[str]], Field(default_factory=dict)]


class Bounce(Message):
    """The e-mail came back. SES tells it of a soft bounce only when it has given up trying."""

    bounce_type: str
    bounce_sub_type: str
    timestamp: AwareDatetime


class Complaint(Message):
    """The recipient's provider reports the e-mail, as spam mostly."""

    complaint_sub_type: str | None = None
    complaint_feedback_type: str | None = None
    timestamp: AwareDatetime


class Feedback(Message):
    """The detail of SES's events Email Bounced and Email Complaint Received."""

    mail: Mail
    bounce: Bounce | None = None
    complaint: Complaint | None = None


def tags(task: "WelcomeEmailTask") -> "list[MessageTagTypeDef]":
    """Return the message tags by which the feedback on a welcome e-mail is read.

    What SES doesn't take in a tag becomes `_`, so that no value makes the e-mail fail.
    """
    values = {"customerId": task.customer_id, "accountId": task.account_id, "correlationId": task.correlation_id}
    return [{"Name": name, "Value": _NO_TAG.sub("_", value)[:_LONGEST_TAG] or "_"} for name, value in values.items()]


def read(body: str) -> WelcomeEmailFailed | None:
    """Return the event that follows from SES's event in an EventBridge envelope.

    None where the e-mail has none of our tags, or arrived all the same. A bounce and a complaint of one e-mail make the
    same event, and consumers keep one of them: what bounced was not delivered, so that there is hardly anything to
    complain of.

    Raises:
        pydantic.ValidationError: it is no envelope, or no feedback of SES.
    """
    feedback = Feedback.model_validate(Envelope.model_validate_json(body).detail)
    found = {name: values[0] for name, values in feedback.mail.tags.items() if values}
    if not {"customerId", "accountId", "correlationId"} <= found.keys():
        return None
    if feedback.bounce and not _may_be_an_automatic_reply(feedback.bounce):
        reason, occurred_at = "BOUNCED", feedback.bounce.timestamp
    elif feedback.complaint and feedback.complaint.complaint_feedback_type != "not-spam":
        # Where an earlier complaint has put the address on the suppression list, SES sent nothing.
        suppressed = feedback.complaint.complaint_sub_type == _SUPPRESSED
        reason, occurred_at = "BOUNCED" if suppressed else "COMPLAINED", feedback.complaint.timestamp
    else:
        return None
    return WelcomeEmailFailed.of(
        found["customerId"],
        correlation_id=found["correlationId"],
        occurred_at=occurred_at,
        account_id=found["accountId"],
        reason=reason,
    )


def _may_be_an_automatic_reply(bounce: Bounce) -> bool:
    """Whether the bounce may be an out-of-office message, which comes from where the e-mail has arrived.

    https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html#event-publishing-retrieving-sns-contents-bounce-types
    """
    return (bounce.bounce_type, bounce.bounce_sub_type) == ("Transient", "General")
