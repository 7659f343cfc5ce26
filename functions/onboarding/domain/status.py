"""The status of an onboarding, computed from its timeline.

It is recomputed on each read from the events seen so far, so repeats, another order and gaps don't matter.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import AwareDatetime, Field

from onboarding.domain.errors import FieldError
from onboarding.domain.meanings import TRACKED, Meaning, Status, WelcomeEmail, meaning_of
from onboarding.domain.models import CustomerId, Message

# An execution's status, and the type that the timeline keeps for it. RUNNING means redriven.
CHANGES = {
    "FAILED": "ExecutionFailed",
    "TIMED_OUT": "ExecutionTimedOut",
    "ABORTED": "ExecutionAborted",
    "RUNNING": "ExecutionRedriven",
    "SUCCEEDED": "ExecutionSucceeded",
}
_STOPS = {"ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
_ORDER = [*(event.__name__ for event in TRACKED), *CHANGES.values()]
# A poll of the execution itself, which the public doesn't see. The pause between two is a quarter of the time without
# news, within these limits.
_POLL = "ExecutionDescribed"
_SHORTEST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=2), timedelta(minutes=15)
# The strongest wins, which is the last of these: an outcome of the workflow outweighs a failure of its execution.
_STRENGTH: list[Status] = [
    "REGISTERED",
    "VALIDATED",
    "ACCOUNT_CREATED",
    "FAILED",
    "ONBOARDED",
    "ONBOARDED_WITHOUT_EMAIL",
    "REJECTED",
    "EXPIRED",
]
_ENDS: set[Status] = {"FAILED", "ONBOARDED", "ONBOARDED_WITHOUT_EMAIL", "REJECTED", "EXPIRED"}
# The first of these that was reported holds.
_EMAILS: tuple[WelcomeEmail, ...] = ("UNDELIVERABLE", "BOUNCED", "COMPLAINED", "SENT", "UNKNOWN")
_WITH_EMAIL: dict[WelcomeEmail, Status] = {
    "SENT": "ONBOARDED",
    "COMPLAINED": "ONBOARDED",  # it arrived
    "UNDELIVERABLE": "ONBOARDED_WITHOUT_EMAIL",
    "BOUNCED": "ONBOARDED_WITHOUT_EMAIL",
    "UNKNOWN": "ONBOARDED_WITHOUT_EMAIL",
}

# A taken e-mail address shows as this, because the reason would reveal who is a customer.
_NOT_REGISTRABLE: FieldError = {
    "field": "body",
    "code": "not_registrable",
    "message": "This customer can't be registered",
}


class Entry(Message):
    """An event as the timeline keeps it. The correlationId is for the log alone."""

    customer_id: CustomerId
    event_id: str
    type: str
    occurred_at: AwareDatetime
    correlation_id: Annotated[str | None, Field(exclude=True)] = None
    account_id: str | None = None
    reason: str | None = None
    errors: list[FieldError] | None = None

    @classmethod
    def of_change(cls, customer_id: str, status: str, changed_at: datetime, **fields: str | None) -> Self:
        """The entry for a change of the execution, the same if it was announced and if it was found by a poll."""
        at = changed_at.astimezone(UTC).isoformat(timespec="milliseconds")
        kind = CHANGES[status]
        return cls(
            type=kind,
            event_id=f"{customer_id}:{kind}:{at}",
            customer_id=customer_id,
            occurred_at=datetime.fromisoformat(at),
            **fields,
        )


class Step(Message):
    """A step of the onboarding.

    Its type is the event's, or Step Functions' ExecutionFailed, ExecutionTimedOut, ExecutionAborted, ExecutionRedriven
    or ExecutionSucceeded. Every rejection is CustomerRejected.
    """

    type: str
    occurred_at: AwareDatetime
    reason: str | None = None


class Onboarding(Message):
    """The status of an onboarding.

    The welcome e-mail is NOT_SENT for a customer without an account. For an onboarding that failed later it is PENDING,
    because that can be redriven. It is UNKNOWN if the mail service never confirmed that it was sent.
    """

    customer_id: CustomerId
    status: Status
    confirmation_expires_at: Annotated[
        AwareDatetime | None, Field(description="By when the customer has to confirm the e-mail address")
    ] = None
    account_id: str | None = None
    errors: Annotated[list[FieldError] | None, Field(description="Why the customer was rejected")] = None
    welcome_email: WelcomeEmail
    timeline: list[Step]

    def awaiting_confirmation(self, expires_at: datetime) -> Self:
        """The onboarding while the workflow waits for the customer until then."""
        return self.model_copy(update={"status": "AWAITING_CONFIRMATION", "confirmation_expires_at": expires_at})

    @property
    def has_ended(self) -> bool:
        """Whether the status is final, but for a redrive."""
        return self.status in _ENDS


def onboarding_from(customer_id: str, entries: Iterable[Entry]) -> Onboarding:
    """Return the onboarding that a customer's entries show, in any order."""
    shown = (entry for entry in entries if _public(entry))  # a newer release that was rolled back may have kept others
    happened = sorted(shown, key=lambda entry: (entry.occurred_at, _ORDER.index(entry.type), entry.event_id))
    welcome_email = _welcome_email(happened)
    return Onboarding(
        customer_id=customer_id,
        status=_status(happened, welcome_email),
        account_id=next((entry.account_id for entry in happened if entry.account_id), None),
        errors=next((entry.errors or [_NOT_REGISTRABLE] for entry in happened if _says(entry) == "REJECTED"), None),
        welcome_email=welcome_email,
        timeline=[_step(entry, shown_as) for entry in happened if (shown_as := _public(entry))],
    )


def next_poll(entries: Sequence[Entry], now: datetime) -> Entry | None:
    """Return the poll of the execution that is due now; None if none is.

    A poll is due while an onboarding can go on, which a failed one can by a redrive, and is without news.
    """
    news = [entry.occurred_at for entry in entries if entry.type != _POLL]
    if not news:
        return None
    customer_id = entries[0].customer_id
    if onboarding_from(customer_id, entries).status in _ENDS - {"FAILED"}:
        return None
    pause = min(max((now - max(news)) / 4, _SHORTEST_PAUSE), _LONGEST_PAUSE)
    if now - max(entry.occurred_at for entry in entries) < pause:
        return None
    return poll_of(customer_id, now)


def poll_of(customer_id: str, now: datetime) -> Entry:
    """A poll of the customer's execution."""
    return Entry(customer_id=customer_id, event_id=_POLL, type=_POLL, occurred_at=now)


def _meaning(entry: Entry) -> Meaning:
    return meaning_of(entry.type, entry.reason)


def _says(entry: Entry) -> Status | None:
    return _meaning(entry).status


def _welcome_email(happened: list[Entry]) -> WelcomeEmail:
    said = {_meaning(entry).email for entry in happened}
    for email in _EMAILS:
        if email in said:
            return email
    return "NOT_SENT" if any(_says(entry) in {"REJECTED", "EXPIRED", "FAILED"} for entry in happened) else "PENDING"


def _status(happened: list[Entry], welcome_email: WelcomeEmail) -> Status:
    said = [status for status in map(_says, happened) if status]
    if _has_stopped(happened):
        said.append("FAILED")
    reached: Status = max(said, key=_STRENGTH.index, default="REGISTERED")
    return reached if reached in {"FAILED", "REJECTED", "EXPIRED"} else _WITH_EMAIL.get(welcome_email, reached)


def _has_stopped(happened: list[Entry]) -> bool:
    """Whether the execution stopped, and has neither been redriven nor published an event since.

    An event that a redriven execution publishes may be older than the stop: its time is when its state was entered.
    """
    stops = [entry.occurred_at for entry in happened if entry.type in _STOPS]
    return bool(stops) and not any(
        entry.occurred_at > max(stops) and (_says(entry) or entry.type == "ExecutionRedriven") for entry in happened
    )


def _public(entry: Entry) -> str | None:
    return entry.type if entry.type in CHANGES.values() else _meaning(entry).public


def _step(entry: Entry, shown_as: str) -> Step:
    reason = entry.reason if shown_as == entry.type else None
    return Step(type=shown_as, occurred_at=entry.occurred_at, reason=reason)
