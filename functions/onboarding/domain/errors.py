"""Every error that the workflow knows by name.

The state machine catches and retries them by their bare class name: Lambda reports a Python exception as its
`type.__name__`, and base classes don't match. A message never holds what a customer typed: the runtime logs it, and
Step Functions keeps it in the execution's history.
"""

import json

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12


class FieldError(TypedDict):
    """One thing wrong with one field: its path in the JSON document, a stable code, and a sentence for people."""

    field: str
    code: str
    message: str


class CustomerInvalid(Exception):
    """The registration breaks a business rule.

    The message is the JSON list of all the errors, `[{"field", "code", "message"}]`, so that the state machine can
    read them out of the error's Cause.
    """

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(json.dumps(errors))
        self.errors = errors


class EmailNotConfirmed(Exception):
    """The customer has not confirmed the e-mail address yet."""


class EmailAlreadyRegistered(Exception):
    """The e-mail address belongs to another customer, whose account is active."""


class EmailClaimPending(Exception):
    """Another customer claims the e-mail address, and has no active account yet: retry later."""


class AccountCancelled(Exception):
    """The customer's account was cancelled, so it can't be created again. Only a new registration helps."""


class AccountErased(Exception):
    """The customer was erased, and nothing may bring the customer back."""


class EmailUndeliverable(Exception):
    """This e-mail can never be sent. The message is the mail service's error code."""


class EmailServiceUnavailable(Exception):
    """The mail service is unreachable, failing or throttling: retry later. The message is its error code."""


class EmailSenderBlocked(Exception):
    """The mail service refuses the sender (suspended, paused, not verified) until an operator fixes it.

    The message is its error code.
    """


class EmailOutcomeUnknown(Exception):
    """The mail service may have accepted the e-mail, but its answer was lost: wait until it may have reported it.

    The message says how the answer was lost.
    """


class EmailUnconfirmed(Exception):
    """The outcome of each attempt to send the e-mail is unknown, and it is not sent again."""


class DownstreamRefused(Exception):
    """A downstream system refuses this account for good.

    The message is JSON, `{"system", "answer"}`, so that the state machine can read the system out of the error's Cause.
    """

    def __init__(self, system: str, answer: str) -> None:
        super().__init__(json.dumps({"system": system, "answer": answer}))


class DownstreamUnavailable(Exception):
    """A downstream system is unreachable, failing or throttling: retry later. The message is its answer."""


class UnexpectedAnswer(Exception):
    """A downstream system breaks its contract or rejects our credentials: an operator must fix it.

    The message is its answer. It is no refusal of the customer, so nothing is compensated.
    """
