"""What each event means for the status, the public timeline and the analytics.

An event or reason without a line here, such as one of a newer release, means nothing and is hidden from the public.
"""

from typing import Literal, NamedTuple

from onboarding.domain.events import (
    CustomerAccountCreated,
    CustomerAccountCreationFailed,
    CustomerEmailConfirmed,
    CustomerErased,
    CustomerFraudSuspected,
    CustomerRegistered,
    CustomerRegistrationExpired,
    CustomerValidated,
    CustomerValidationFailed,
    Event,
    WelcomeEmailFailed,
    WelcomeEmailSent,
    WelcomeEmailUnconfirmed,
)

Status = Literal[
    "REGISTERED",
    "VALIDATED",
    "AWAITING_CONFIRMATION",
    "ACCOUNT_CREATED",
    "ONBOARDED",
    "ONBOARDED_WITHOUT_EMAIL",
    "REJECTED",
    "EXPIRED",
    "FAILED",
]
WelcomeEmail = Literal["PENDING", "SENT", "NOT_SENT", "UNDELIVERABLE", "UNKNOWN", "BOUNCED", "COMPLAINED"]
Stage = Literal[
    "registered",
    "validated",
    "rejected",
    "emailConfirmed",
    "expired",
    "accountCreated",
    "failed",
    "emailSent",
    "emailFailed",
    "emailUnconfirmed",
    "suspected",
    "erased",
]


class Meaning(NamedTuple):
    """The meaning of an event with its reason.

    status: the onboarding's status; None for an event that isn't the workflow's.
    email: the status of the welcome e-mail.
    stage: where the analytics count the customer.
    public: its type in the public timeline; its reason is shown only under the event's own type.
    """

    status: Status | None = None
    email: WelcomeEmail | None = None
    stage: Stage | None = None
    public: str | None = None


_REJECTED = "CustomerRejected"  # the reason would reveal who is a customer

# In the workflow's order.
MEANINGS: dict[tuple[type[Event], str | None], Meaning] = {
    (CustomerRegistered, None): Meaning("REGISTERED", None, "registered", "CustomerRegistered"),
    (CustomerValidated, None): Meaning("VALIDATED", None, "validated", "CustomerValidated"),
    (CustomerValidationFailed, None): Meaning("REJECTED", None, "rejected", _REJECTED),
    # The wait for it has no event: the status reads the confirmation itself.
    (CustomerEmailConfirmed, None): Meaning("VALIDATED", None, "emailConfirmed", "CustomerEmailConfirmed"),
    (CustomerRegistrationExpired, None): Meaning("EXPIRED", None, "expired", "CustomerRegistrationExpired"),
    (CustomerAccountCreated, None): Meaning("ACCOUNT_CREATED", None, "accountCreated", "CustomerAccountCreated"),
    (CustomerAccountCreationFailed, "EMAIL_TAKEN"): Meaning("REJECTED", None, "rejected", _REJECTED),
    (CustomerAccountCreationFailed, "DOWNSTREAM_FAILED"): Meaning(
        "FAILED", None, "failed", "CustomerAccountCreationFailed"
    ),
    (WelcomeEmailSent, None): Meaning("ONBOARDED", "SENT", "emailSent", "WelcomeEmailSent"),
    (WelcomeEmailUnconfirmed, "UNKNOWN"): Meaning(
        "ONBOARDED_WITHOUT_EMAIL", "UNKNOWN", "emailUnconfirmed", "WelcomeEmailUnconfirmed"
    ),
    (WelcomeEmailFailed, "UNDELIVERABLE"): Meaning(
        "ONBOARDED_WITHOUT_EMAIL", "UNDELIVERABLE", "emailFailed", "WelcomeEmailFailed"
    ),
    # SES's feedback comes after the workflow has ended.
    (WelcomeEmailFailed, "BOUNCED"): Meaning(None, "BOUNCED", "emailFailed", "WelcomeEmailFailed"),
    (WelcomeEmailFailed, "COMPLAINED"): Meaning(None, "COMPLAINED", "emailFailed", "WelcomeEmailFailed"),
    # Its subject may read the timeline.
    (CustomerFraudSuspected, None): Meaning(stage="suspected"),
    (CustomerErased, None): Meaning(stage="erased"),
}
# The events that a timeline keeps, in the workflow's order: those that the public sees.
TRACKED = tuple(dict.fromkeys(event for (event, _), meaning in MEANINGS.items() if meaning.public))
_BY_NAME = {(event.__name__, reason): meaning for (event, reason), meaning in MEANINGS.items()} | {
    # An execution's output, where its last event isn't tracked yet.
    ("ExecutionSucceeded", "ONBOARDED"): Meaning("ONBOARDED", "SENT"),
    ("ExecutionSucceeded", "UNDELIVERABLE"): Meaning("ONBOARDED_WITHOUT_EMAIL", "UNDELIVERABLE"),
    ("ExecutionSucceeded", "UNKNOWN"): Meaning("ONBOARDED_WITHOUT_EMAIL", "UNKNOWN"),
    ("ExecutionSucceeded", "REJECTED"): Meaning("REJECTED"),
    ("ExecutionSucceeded", "EXPIRED"): Meaning("EXPIRED"),
}


def meaning_of(event_type: str, reason: str | None) -> Meaning:
    """Return the meaning of an event of this type and reason."""
    return _BY_NAME.get((event_type, reason), Meaning())
