"""The e-mail with the code by which a customer confirms the address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from onboarding.adapters import mail
from onboarding.domain.errors import EmailOutcomeUnknown, EmailUndeliverable
from onboarding.domain.tasks import ConfirmationEmail

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

    from onboarding.adapters.confirmations import Confirmation, PendingConfirmation


def send_code(
    confirmation: Confirmation, pending: PendingConfirmation, sender: mail.Sender, *, ses: SESV2Client
) -> Literal["SENT", "LIMITED", "UNDELIVERABLE"]:
    """Mail the customer a new code; LIMITED if the customer or the address had enough e-mails today.

    Raises what `mail.send` does, but for EmailUndeliverable: nobody will confirm, so the registration will expire.
    """
    address = pending.recipient.email
    code = confirmation.issue_code(address)
    if code is None:
        return "LIMITED"
    email = ConfirmationEmail(
        **pending.recipient.model_dump(), code=code, page=pending.page, expires_at=pending.expires_at
    )
    try:
        mail.send(email, sender, ses=ses)
    except EmailUndeliverable:
        return "UNDELIVERABLE"
    except EmailOutcomeUnknown:
        raise
    except Exception:
        confirmation.withdraw_code(code, address)
        raise
    return "SENT"
