"""The status of an onboarding, which follows from its timeline.

It is made anew each time, from the set of what was heard: so it is right whatever comes twice, in another order, or has
yet to come.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from onboarding.errors import FieldError
from onboarding.events import (
    CustomerAccountCreated,
    CustomerAccountCreationFailed,
    CustomerRegistered,
    CustomerValidated,
    CustomerValidationFailed,
    WelcomeEmailFailed,
    WelcomeEmailSent,
)
from onboarding.models import CustomerId, Message
from onboarding.timeline import CHANGES, TRACKED, Entry

Status = Literal[
    "REGISTERED", "VALIDATED", "ACCOUNT_CREATED", "ONBOARDED", "ONBOARDED_WITHOUT_EMAIL", "REJECTED", "FAILED"
]
WelcomeEmail = Literal["PENDING", "SENT", "NOT_SENT", "UNDELIVERABLE", "BOUNCED", "COMPLAINED"]

_STOPS = {"ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
_ORDER = [*(event.__name__ for event in TRACKED), *CHANGES.values()]

# What a type and its reason say by themselves. SES's feedback, BOUNCED and COMPLAINED, is not here: the workflow has no
# part in it, and may have failed before.
_SAYS: dict[tuple[str, str | None], Status] = {
    (CustomerRegistered.__name__, None): "REGISTERED",
    (CustomerValidated.__name__, None): "VALIDATED",
    (CustomerValidationFailed.__name__, None): "REJECTED",
    (CustomerAccountCreated.__name__, None): "ACCOUNT_CREATED",
    (CustomerAccountCreationFailed.__name__, "EMAIL_TAKEN"): "REJECTED",
    (CustomerAccountCreationFailed.__name__, "DOWNSTREAM_FAILED"): "FAILED",
    (WelcomeEmailSent.__name__, None): "ONBOARDED",
    (WelcomeEmailFailed.__name__, "UNDELIVERABLE"): "ONBOARDED_WITHOUT_EMAIL",
}
# Whatever ends the workflow stands, also where its execution failed behind it.
_STRENGTH: list[Status] = [
    "REGISTERED",
    "VALIDATED",
    "ACCOUNT_CREATED",
    "FAILED",
    "ONBOARDED",
    "ONBOARDED_WITHOUT_EMAIL",
    "REJECTED",
]
_ENDS: set[Status] = {"FAILED", "ONBOARDED", "ONBOARDED_WITHOUT_EMAIL", "REJECTED"}
_EMAIL_FAILURES: tuple[WelcomeEmail, ...] = ("UNDELIVERABLE", "BOUNCED", "COMPLAINED")
_WITH_EMAIL: dict[WelcomeEmail, Status] = {
    "SENT": "ONBOARDED",
    "COMPLAINED": "ONBOARDED",  # it had arrived
    "UNDELIVERABLE": "ONBOARDED_WITHOUT_EMAIL",
    "BOUNCED": "ONBOARDED_WITHOUT_EMAIL",
}

# All that is told of an e-mail address that is taken: the reason would tell who is a customer.
_NOT_REGISTRABLE: FieldError = {
    "field": "body",
    "code": "not_registrable",
    "message": "This customer can't be registered",
}


class Step(Message):
    """Something that happened.

    The type is that of the event, or ExecutionFailed, ExecutionTimedOut, ExecutionAborted and ExecutionRedriven, as
    Step Functions says it; a rejection is CustomerRejected, whatever the reason.
    """

    type: str
    occurred_at: AwareDatetime
    reason: str | None = None


class Onboarding(Message):
    """How far an onboarding has come.

    The welcome e-mail of a customer without an account is NOT_SENT for good; that of an onboarding that failed
    otherwise is PENDING, since a failed onboarding can be taken up again.
    """

    customer_id: CustomerId
    status: Status
    account_id: str | None = None
    errors: Annotated[list[FieldError] | None, Field(description="Why the customer was rejected")] = None
    welcome_email: WelcomeEmail
    timeline: list[Step]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be waited for."""
        return self.status in _ENDS


def onboarding_from(customer_id: str, entries: Iterable[Entry]) -> Onboarding:
    """Return what the entries of a customer say together; their order says nothing."""
    happened = sorted(entries, key=lambda entry: (entry.occurred_at, _ORDER.index(entry.type), entry.event_id))
    welcome_email = _welcome_email(happened)
    return Onboarding(
        customer_id=customer_id,
        status=_status(happened, welcome_email),
        account_id=next((entry.account_id for entry in happened if entry.account_id), None),
        errors=next((entry.errors or [_NOT_REGISTRABLE] for entry in happened if _says(entry) == "REJECTED"), None),
        welcome_email=welcome_email,
        timeline=[_step(entry) for entry in happened],
    )


def _says(entry: Entry) -> Status | None:
    return _SAYS.get((entry.type, entry.reason))


def _welcome_email(happened: list[Entry]) -> WelcomeEmail:
    reasons = {entry.reason for entry in happened}
    for failure in _EMAIL_FAILURES:
        if failure in reasons:
            return failure
    said = set(map(_says, happened))
    if "ONBOARDED" in said:
        return "SENT"
    return "NOT_SENT" if said & {"REJECTED", "FAILED"} else "PENDING"


def _status(happened: list[Entry], welcome_email: WelcomeEmail) -> Status:
    said = [status for status in map(_says, happened) if status]
    if _has_stopped(happened):
        said.append("FAILED")
    reached: Status = max(said, key=_STRENGTH.index, default="REGISTERED")
    return reached if reached in {"FAILED", "REJECTED"} else _WITH_EMAIL.get(welcome_email, reached)


def _has_stopped(happened: list[Entry]) -> bool:
    """Whether the execution ended before its time, and has neither been redriven nor published anything since.

    An event that a redriven execution publishes may be older than the stop: its time is when its state was entered.
    """
    stops = [entry.occurred_at for entry in happened if entry.type in _STOPS]
    return bool(stops) and not any(
        entry.occurred_at > max(stops) and (_says(entry) or entry.type == "ExecutionRedriven") for entry in happened
    )


def _step(entry: Entry) -> Step:
    if _says(entry) == "REJECTED":
        return Step(type="CustomerRejected", occurred_at=entry.occurred_at)
    return Step(type=entry.type, occurred_at=entry.occurred_at, reason=entry.reason)
